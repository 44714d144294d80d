# A key that is nobody's, in each form, and a text that was encrypted for it.
locals {
  encrypted = "dDI409OF1JwFyqGt0Y6yHNEr01IzHoRI5I06XwHp7CjuK1ZZrzA+D+C9u/pG0320vQDJd6Htsl52ouUAiMrzZfU0lLo/zAI9b/W/NmWjNSjkGfryKunvh+T43Ov7i06R4Q6LQfcB/T+9+ATycgx8ICyIuF7aAYEwoSwPOyaBQcU="
  rsa_keys = {
    pkcs1 = <<-EOT
      -----BEGIN RSA PRIVATE KEY-----
      MIICXQIBAAKBgQC9XHnUSaKxgHlpyLWDipnF8RY48qdzhVG05vWmU+1Kb0TQzKsP
      fxCUWyMz6W1HbJe6YVtWtF7B9lj3DfqUM2GaT3yCAKgvlSnFWsm2yCluzMvJpsBv
      G18abT7BWLpfp3KHfjTkEXI1/ROizU9M61WZOwsBnd3/GJIgZtYIDIl8OwIDAQAB
      AoGAPoDHtcqYaP5/FOuq/kBBgZSSQTnXC8p1rcCOVNhe+rK/hCwKSpMmZdGvTPM/
      ntO5QUvhWj0vCdbGhsWWcFSFYleQjFpTHJ2jWRJT5gYzCXC7auh7+Ktr1hWQtLuc
      hZ8au4I2GDJtEgpCi/DWBs9wCqcMp2nJCz33rvy6pbDHoAECQQD2qUEWFTAVxVd0
      /RzBsH9WgAqLxrcWKU7ER5dFgTuTaKzfv0y19SlbjxiJ5d5snFspiFfVzjiPbJ4c
      YP2OlKrbAkEAxIfYpUddmGMGQatd4dIfgx033SqOp55MZpzpjPW30oT+oajIG84J
      tDWCFM8Fh+ut48px2OiFURCG+OxNYulCIQJBALELS2xOSPVXcC7IfpuH096CiQ9K
      0p9VhvPbbvi0ic6Ek5EF/kmcbtMJItPX6o6Kq+RjuKf+HRrVG6fC9jwg+YECQFFI
      5oAlrj5y5omOuTvHTqVKFmrxSSNmw67FQ4u7rZXyz+ZJCssFQto4L18v6Ne40Kkg
      eEoAkfNfZJPcGH3KgEECQQDv91yKohVFqKvcIu+0IKm/Uy2LotjFecq+7zOHmwuW
      evkbhDQzRYORpjKDhLFUuKLR68eU0w4O0KndQTmjZITa
      -----END RSA PRIVATE KEY-----
    EOT
    pkcs8 = <<-EOT
      -----BEGIN PRIVATE KEY-----
      MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAL1cedRJorGAeWnI
      tYOKmcXxFjjyp3OFUbTm9aZT7UpvRNDMqw9/EJRbIzPpbUdsl7phW1a0XsH2WPcN
      +pQzYZpPfIIAqC+VKcVaybbIKW7My8mmwG8bXxptPsFYul+ncod+NOQRcjX9E6LN
      T0zrVZk7CwGd3f8YkiBm1ggMiXw7AgMBAAECgYA+gMe1ypho/n8U66r+QEGBlJJB
      OdcLynWtwI5U2F76sr+ELApKkyZl0a9M8z+e07lBS+FaPS8J1saGxZZwVIViV5CM
      WlMcnaNZElPmBjMJcLtq6Hv4q2vWFZC0u5yFnxq7gjYYMm0SCkKL8NYGz3AKpwyn
      ackLPfeu/LqlsMegAQJBAPapQRYVMBXFV3T9HMGwf1aACovGtxYpTsRHl0WBO5No
      rN+/TLX1KVuPGInl3mycWymIV9XOOI9snhxg/Y6UqtsCQQDEh9ilR12YYwZBq13h
      0h+DHTfdKo6nnkxmnOmM9bfShP6hqMgbzgm0NYIUzwWH663jynHY6IVREIb47E1i
      6UIhAkEAsQtLbE5I9VdwLsh+m4fT3oKJD0rSn1WG89tu+LSJzoSTkQX+SZxu0wki
      09fqjoqr5GO4p/4dGtUbp8L2PCD5gQJAUUjmgCWuPnLmiY65O8dOpUoWavFJI2bD
      rsVDi7utlfLP5kkKywVC2jgvXy/o17jQqSB4SgCR819kk9wYfcqAQQJBAO/3XIqi
      FUWoq9wi77Qgqb9TLYui2MV5yr7vM4ebC5Z6+RuENDNFg5GmMoOEsVS4otHrx5TT
      Dg7Qqd1BOaNkhNo=
      -----END PRIVATE KEY-----
    EOT
    openssh = <<-EOT
      -----BEGIN OPENSSH PRIVATE KEY-----
      b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAlwAAAAdzc2gtcn
      NhAAAAAwEAAQAAAIEAvVx51EmisYB5aci1g4qZxfEWOPKnc4VRtOb1plPtSm9E0MyrD38Q
      lFsjM+ltR2yXumFbVrRewfZY9w36lDNhmk98ggCoL5UpxVrJtsgpbszLyabAbxtfGm0+wV
      i6X6dyh3405BFyNf0Tos1PTOtVmTsLAZ3d/xiSIGbWCAyJfDsAAAH4bVtgVG1bYFQAAAAH
      c3NoLXJzYQAAAIEAvVx51EmisYB5aci1g4qZxfEWOPKnc4VRtOb1plPtSm9E0MyrD38QlF
      sjM+ltR2yXumFbVrRewfZY9w36lDNhmk98ggCoL5UpxVrJtsgpbszLyabAbxtfGm0+wVi6
      X6dyh3405BFyNf0Tos1PTOtVmTsLAZ3d/xiSIGbWCAyJfDsAAAADAQABAAAAgD6Ax7XKmG
      j+fxTrqv5AQYGUkkE51wvKda3AjlTYXvqyv4QsCkqTJmXRr0zzP57TuUFL4Vo9LwnWxobF
      lnBUhWJXkIxaUxydo1kSU+YGMwlwu2roe/ira9YVkLS7nIWfGruCNhgybRIKQovw1gbPcA
      qnDKdpyQs99678uqWwx6ABAAAAQQDv91yKohVFqKvcIu+0IKm/Uy2LotjFecq+7zOHmwuW
      evkbhDQzRYORpjKDhLFUuKLR68eU0w4O0KndQTmjZITaAAAAQQD2qUEWFTAVxVd0/RzBsH
      9WgAqLxrcWKU7ER5dFgTuTaKzfv0y19SlbjxiJ5d5snFspiFfVzjiPbJ4cYP2OlKrbAAAA
      QQDEh9ilR12YYwZBq13h0h+DHTfdKo6nnkxmnOmM9bfShP6hqMgbzgm0NYIUzwWH663jyn
      HY6IVREIb47E1i6UIhAAAAAAEC
      -----END OPENSSH PRIVATE KEY-----
    EOT
  }
}
