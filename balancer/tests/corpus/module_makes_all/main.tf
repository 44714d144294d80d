module "alb" {
  source  = "terraform-aws-modules/alb/aws"
  version = "~> 9.0"
  name    = "my-alb"
  listeners = {
    http = { port = 80, protocol = "HTTP", forward = { target_group_key = "app" } }
  }
}
