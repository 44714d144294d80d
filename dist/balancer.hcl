# A configuration to begin with. After a change: systemctl reload balancer, which checks it first.
# Every block and attribute: docs/configuration.md, and `balancer check` for what is wrong with this file.

balancer {
  user = "balancer"
}

load_balancer "main" {
  access_logs {
    enabled = true
    path    = "/var/log/balancer/access.log"
  }
}

listener "web" {
  port              = 8080
  load_balancer_arn = load_balancer.main.arn

  default_action {
    type             = "forward"
    target_group_arn = target_group.app.arn
  }
}

target_group "app" {
  stickiness {
    type = "lb_cookie"
  }

  health_check {
    path = "/"
  }

  # Your application's addresses.
  targets = ["127.0.0.1:9001", "127.0.0.1:9002"]
}
