balancer {
  terraform_values = { "data.aws_lb.internal" = load_balancer.internal.arn }
}
load_balancer "internal" {
  idle_timeout = 30
}
