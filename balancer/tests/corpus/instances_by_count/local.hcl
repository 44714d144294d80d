balancer {
  terraform_values = {
    "aws_instance.web" = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
  }
}
