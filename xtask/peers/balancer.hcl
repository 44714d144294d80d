# balancer: one worker, its own stickiness cookies, no health checks where the others make none.
balancer {
  instance      = "{{instance}}"
  workers       = 1
  state_dir     = "{{folder}}/state"
  runtime_dir   = "{{folder}}/run"
  kernel_assist = "{{kernel_assist}}"
  admin_address = "{{admin}}"
%sessions%  session_table_size = {{sessions}}
}
%log%load_balancer "bench" {
%log%  access_logs {
%log%    enabled = true
%log%    path    = "{{folder}}/access.log"
%log%  }
%log%}
listener "bench" {
  address  = "{{host}}"
  port     = {{port}}
%h2c%  http2_prior_knowledge = true
%tls%  protocol        = "HTTPS"
%tls%  certificate_arn = certificate.bench.arn
%tls,tls12%  ssl_policy      = "ELBSecurityPolicy-TLS-1-2-2017-01"
  default_action {
    type             = "forward"
    target_group_arn = target_group.bench.arn
  }
}
%tls%certificate "bench" {
%tls%  certificate_file = "{{certificate}}"
%tls%  private_key_file = "{{key}}"
%tls%}
target_group "bench" {
  port                          = {{target_port}}
  protocol                      = "HTTP"
%h2,!grpc%  protocol_version              = "HTTP2"
%grpc%  protocol_version              = "GRPC"
  load_balancing_algorithm_type = "least_outstanding_requests"
  stickiness {
%!sticky%    enabled     = false
%!sessions%    type        = "lb_cookie"
%sessions%    type        = "app_cookie"
%sessions%    cookie_name = "app"
  }
  health_check {
%!checks%    enabled = false
%checks%    interval = 5
%checks%    timeout  = 2
  }
  targets = [
%each%    "{{target}}",
  ]
}
{{rules}}
