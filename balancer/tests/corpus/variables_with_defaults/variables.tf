variable "vpc_id" {}
variable "subnets" {}
variable "app_port" { default = 8080 }
variable "health_path" { default = "/healthz" }
variable "name" { default = "shop" }
