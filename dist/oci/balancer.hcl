# What the image begins with: put a file of your own in its place.
# docker run --network host -v ./balancer.hcl:/etc/balancer/balancer.hcl:ro -v balancer:/var/lib/balancer balancer

load_balancer "main" {
  access_logs {
    enabled = true
    path    = "stdout"
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

  targets = ["127.0.0.1:9001", "127.0.0.1:9002"]
}
