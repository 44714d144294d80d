"""Requests that nobody means: ten thousand, most of them signed. Each has to be answered in XML, by a status below 500.

hostile.py ENDPOINT COUNT SEED
"""

import http.client
import random
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections import Counter

import botocore.session
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest

endpoint, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
session = botocore.session.get_session()
credentials = session.get_credentials().get_frozen_credentials()
model = session.get_service_model("elbv2")
NAMESPACE = "{http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/}"
PREFIX = "arn:aws:elasticloadbalancing:us-east-1:000000000000:"
arns = [PREFIX + "loadbalancer/app/x/0123456789abcdef", PREFIX + "targetgroup/x/0123456789abcdef", "arn:::", PREFIX]
TEXTS = [
    "", " ", "a", "web", "-a", "a--b", "x" * 33, "x" * 5000, "ü", "\u0000", "\ufffe", "\U0001f600", "${x}", "%{if}", "a\r\nb: c",
    "<a>&amp;]]>", "0", "-1", "1", "80", "65536", "99999999999999999999", "1e3", "true", "TRUE", "null", "HTTP", "HTTPS", "GRPC",
    "forward", "redirect", "fixed-response", "path-pattern", "host-header", "/*", "(((", "[", "a{1000000}", "127.0.0.1", "::1",
    "0.0.0.0/0", "i-0123456789abcdef0", "HTTP_301", "200", "999", "internal", "ip", "balancer:address", "stickiness.enabled",
    "stickiness.lb_cookie.duration_seconds", "stickiness.app_cookie.cookie_name", "idle_timeout.timeout_seconds", "traffic-port",
    "file:///etc/passwd", "../../etc/passwd", "#{host}", "$1",
]


def text():
    return chance.choice(arns) if chance.random() < 0.3 else chance.choice(TEXTS)


def fill(form, name, shape, wild, depth=0):
    """Parameters of a shape: of the right kind, or some of them `wild`."""
    if depth > 6 or wild and chance.random() < 0.1:
        form.append((name, text()))
    elif shape.type_name == "structure":
        for member, inner in shape.members.items():
            wanted = member in shape.required_members or chance.random() < 0.3
            if wanted and not (wild and chance.random() < 0.05):
                fill(form, f"{name}.{member}" if name else member, inner, wild, depth + 1)
    elif shape.type_name == "list":
        for number in range(chance.choice([0, 1, 1, 2, 3])):
            at = chance.choice([number + 1, 7, 0]) if wild else number + 1
            fill(form, f"{name}.member.{at}", shape.member, wild, depth + 1)
    elif getattr(shape, "enum", None) and not (wild and chance.random() < 0.2):
        form.append((name, chance.choice(shape.enum)))
    elif shape.type_name in ("integer", "long") and chance.random() < 0.8:
        form.append((name, str(chance.choice([0, 1, 5, 80, 400, 3600, 50000, 70000, -5]))))
    elif shape.type_name == "boolean" and chance.random() < 0.8:
        form.append((name, chance.choice(["true", "false"])))
    else:
        kind = name.rsplit(".", 1)[-1].removesuffix("Arn").lower()
        of_kind = [arn for arn in arns if f":{kind}/" in arn]
        form.append((name, chance.choice(of_kind) if of_kind and chance.random() < 0.7 else text()))


def call():
    """The form of a call."""
    operation = chance.choice(list(model.operation_names))
    form = [("Action", operation), ("Version", chance.choice(["2015-12-01"] * 50 + ["2012-06-01", ""]))]
    fill(form, "", model.operation_model(operation).input_shape, chance.random() < 0.5)
    if chance.random() < 0.03:
        form.append(chance.choice(form))
    body = urllib.parse.urlencode(form, errors="surrogatepass").encode()
    if chance.random() < 0.05:
        broken = bytearray(body)
        for _ in range(3):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        body = bytes(broken)
    return body


def request():
    """Method, path, header fields and body."""
    body = call()
    kind = chance.random()
    if kind < 0.1:
        request = AWSRequest("GET", endpoint + "?" + body.decode("latin-1").replace(" ", "+").replace("#", ""))
        SigV4QueryAuth(credentials, "elasticloadbalancing", "us-east-1", expires=60).add_auth(request)
        return "GET", "/?" + request.url.split("?", 1)[1].encode("ascii", "ignore").decode(), {}, b""
    fields = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = AWSRequest("POST", endpoint, headers=dict(fields), data=body)
    SigV4Auth(credentials, "elasticloadbalancing", "us-east-1").add_auth(request)
    fields = dict(request.headers.items())
    if kind < 0.2:
        name = chance.choice(list(fields))
        value = bytearray(fields[name].encode())
        value[chance.randrange(len(value))] = chance.randrange(0x21, 0x7F)
        fields[name] = value.decode()
    elif kind < 0.25:
        del fields[chance.choice(list(fields))]
    return chance.choice(["POST"] * 30 + ["PUT", "GET"]), chance.choice(["/"] * 50 + ["/a", "//", "/?x=%zz"]), fields, body


host = urllib.parse.urlparse(endpoint).netloc
connection = http.client.HTTPConnection(host, timeout=30)
seen, codes = Counter(), Counter()
for number in range(count):
    method, path, fields, body = request()
    try:
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        answer = response.read()
    except (http.client.BadStatusLine, ConnectionError) as error:
        raise AssertionError(f"request {number} of seed {seed} has no answer: {error!r} {method} {path} {fields} {body}")
    assert response.status < 500, f"request {number} of seed {seed}: {response.status} {answer} to {body}"
    root = ElementTree.fromstring(answer)
    identifier = root.findtext(f".//{NAMESPACE}RequestId")
    assert identifier == response.getheader("x-amzn-RequestId"), answer
    code = root.findtext(f"{NAMESPACE}Error/{NAMESPACE}Code")
    assert (code is None) == (response.status == 200), answer
    seen[response.status] += 1
    codes[code] += 1
    if response.status == 200:
        found = [element.text for element in root.iter() if element.tag.endswith("Arn") and element.text]
        arns = (arns + [arn for arn in found if arn not in arns])[-60:]
assert seen[200] > count // 50 and seen[400] > count // 10 and seen[403] > count // 50, (seen, codes)
print("done", dict(seen), dict(codes))
