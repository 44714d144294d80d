#!/usr/bin/env bash
# promtool 2.42.0 (Debian 12, package prometheus 2.42.0+ds-5): `promtool check metrics` reads the text format 0.0.4 alone.
# Valid OpenMetrics 1.0 is refused at the first metric of type `info` ("unknown metric type \"info\"", exit code 1), and
# where there is none, counters are taken for metrics without help ("b_total no help text", exit code 3), since OpenMetrics
# names the family `b` and its sample `b_total`. The Prometheus server of the same version reads OpenMetrics and asks for it.
# For a load balancer: an endpoint that serves OpenMetrics whatever Accept says fails the check that its users run in CI.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download prometheus >/dev/null 2>&1 || { echo "prometheus cannot be had from apt"; exit 77; }
dpkg -x prometheus_*.deb .
promtool=$folder/usr/bin/promtool
version=$("$promtool" --version 2>&1 | sed -n 's/^promtool, version \([^ ]*\).*/\1/p')
echo "promtool $version"
[[ $version == 2.42.* ]] || { echo "another version than 2.42"; exit 77; }

check() {
    local code=0
    "$promtool" check metrics >said 2>&1 || code=$?
    echo "exit code $code: $(cat said)"
    seen=$code
}

printf '# HELP a Version.\n# TYPE a info\na_info{version="1"} 1\n# EOF\n' | { check; echo "$seen" >info; }
cp said said.info
printf '# HELP b Requests.\n# TYPE b counter\nb_total 1\n# EOF\n' | { check; echo "$seen" >counter; }
cp said said.counter
printf '# HELP b_total Requests.\n# TYPE b_total counter\nb_total 1\n' | { check; echo "$seen" >plain; }

[[ $(cat info) == 1 && $(cat counter) == 3 && $(cat plain) == 0 ]]
grep -q 'unknown metric type "info"' said.info
grep -q 'b_total no help text' said.counter
echo "as described"
