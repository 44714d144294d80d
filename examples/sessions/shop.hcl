# Two processes of the shop, and clients that come back to theirs.
balancer {
  state_dir   = "/tmp/shop-state"
  runtime_dir = "/tmp/shop-run"
}
listener "web" {
  port = 8080
  default_action {
    type             = "forward"
    target_group_arn = target_group.shop.arn
  }
}
target_group "shop" {
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 3600
  }
  health_check {
    path = "/health"
  }
  targets = ["127.0.0.1:9001", "127.0.0.1:9002"]
}
