certificate "site" {
  certificate_file = "cert.pem"
  private_key_file = "key.pem"
}
balancer {
  terraform_values = {
    "aws_acm_certificate.main"                       = certificate.site.arn
    "data.aws_acm_certificate.other.arn" = certificate.site.arn
  }
}
