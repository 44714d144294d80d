certificate "site" {
  certificate_file = "cert.pem"
  private_key_file = "key.pem"
}
balancer {
  terraform_values = {
    "aws_acm_certificate.own" = certificate.site.arn
  }
}
