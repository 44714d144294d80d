balancer {
  workers = 2
}
load_balancer "main" {
  idle_timeout = 60
}
listener "web" {
  port     = 80
  protocol = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = target_group.app.arn
  }
}
target_group "app" {
  port    = 80
  targets = ["127.0.0.1:8080", "[::1]:8081"]
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 3600
  }
}
