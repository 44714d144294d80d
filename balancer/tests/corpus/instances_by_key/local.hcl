balancer {
  terraform_values = {
    "aws_instance.web" = { a = "10.0.0.1", b = "10.0.0.2" }
  }
}
