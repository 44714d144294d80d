"""Where sessions may be: in the process, in Redis or Valkey, in DynamoDB, in the cookie itself."""

import json
import os
import secrets
import threading
import time

#: How long a session lives after its last change, seconds.
LIFETIME = 8 * 3600


class Session:
    """One that was found: by what it is known, and what is in it."""

    def __init__(self, key, state):
        self.key = key
        self.state = state


class Memory:
    """In the process: fast, and gone with it. This is what stickiness is for."""

    def __init__(self, _options):
        self.known = {}
        self.lock = threading.Lock()

    def find(self, key):
        with self.lock:
            state = self.known.get(key)
        return Session(key, state) if state is not None else None

    def begin(self, state):
        key = secrets.token_urlsafe(24)
        with self.lock:
            self.known[key] = state
        return key

    def change(self, session, state):
        with self.lock:
            self.known[session.key] = state

    def end(self, session):
        with self.lock:
            self.known.pop(session.key, None)
        return ""


class Redis:
    """In Redis or Valkey: any process can serve any client."""

    def __init__(self, options):
        import redis

        self.client = redis.Redis.from_url(options.url, socket_timeout=2, health_check_interval=10)

    def find(self, key):
        found = self.client.get(f"shop:{key}") if key else None
        return Session(key, json.loads(found)) if found else None

    def begin(self, state):
        key = secrets.token_urlsafe(24)
        self.client.set(f"shop:{key}", json.dumps(state), ex=LIFETIME)
        return key

    def change(self, session, state):
        self.client.set(f"shop:{session.key}", json.dumps(state), ex=LIFETIME)

    def end(self, session):
        self.client.delete(f"shop:{session.key}")
        return ""


class DynamoDb:
    """In DynamoDB: the same, as a service. Items that are over go by the table's TTL."""

    TABLE = "shop"

    def __init__(self, options):
        import boto3
        from botocore.config import Config

        self.client = boto3.client(
            "dynamodb",
            endpoint_url=options.url,
            region_name=os.environ.get("AWS_REGION", "us-east-1"),
            config=Config(max_pool_connections=16, retries={"max_attempts": 3}),
        )
        self.ready = False

    def table(self):
        """Makes it, where it is not there: by whoever comes first."""
        if self.ready:
            return
        try:
            self.client.create_table(
                TableName=self.TABLE,
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        except self.client.exceptions.ResourceInUseException:
            pass
        self.client.get_waiter("table_exists").wait(TableName=self.TABLE, WaiterConfig={"Delay": 1})
        self.ready = True

    def find(self, key):
        if not key:
            return None
        self.table()
        # Whoever has just changed the cart sees what is in it.
        item = self.client.get_item(TableName=self.TABLE, Key={"id": {"S": key}}, ConsistentRead=True).get("Item")
        if item is None or int(item["until"]["N"]) < time.time():
            return None
        return Session(key, json.loads(item["state"]["S"]))

    def put(self, key, state):
        self.table()
        until = str(int(time.time()) + LIFETIME)
        item = {"id": {"S": key}, "state": {"S": json.dumps(state)}, "until": {"N": until}}
        self.client.put_item(TableName=self.TABLE, Item=item)

    def begin(self, state):
        key = secrets.token_urlsafe(24)
        self.put(key, state)
        return key

    def change(self, session, state):
        self.put(session.key, state)

    def end(self, session):
        self.client.delete_item(TableName=self.TABLE, Key={"id": {"S": session.key}})
        return ""


class Token:
    """In the cookie: a signed token (RFC 7519). Nothing is kept but the tokens that were logged out, until they are over.

    What is in it can be read by its client, so no secret goes into it, and it has to fit into a cookie: 4 KB.
    """

    def __init__(self, options):
        import jwt

        self.jwt = jwt
        with open(options.secret, "rb") as file:
            self.secret = file.read()
        self.revoked_file = options.revoked
        self.revoked = set()
        self.read_at = None

    def is_revoked(self, token_id):
        """All processes share the list. It is read anew when it has changed."""
        try:
            changed = os.stat(self.revoked_file)
        except FileNotFoundError:
            return False
        if self.read_at != (changed.st_mtime_ns, changed.st_size):
            with open(self.revoked_file, encoding="ascii") as file:
                self.revoked = {line.strip() for line in file}
            self.read_at = (changed.st_mtime_ns, changed.st_size)
        return token_id in self.revoked

    def find(self, token):
        if not token:
            return None
        try:
            claims = self.jwt.decode(token, self.secret, algorithms=["HS256"], options={"require": ["exp", "jti"]})
        except self.jwt.InvalidTokenError:
            return None
        if self.is_revoked(claims["jti"]):
            return None
        return Session(claims["jti"], {"user": claims["sub"], "items": claims["items"]})

    def sign(self, token_id, state):
        claims = {"sub": state["user"], "items": state["items"], "jti": token_id, "exp": int(time.time()) + LIFETIME}
        return self.jwt.encode(claims, self.secret, algorithm="HS256")

    def begin(self, state):
        return self.sign(secrets.token_urlsafe(12), state)

    def change(self, session, state):
        return self.sign(session.key, state)

    def end(self, session):
        # One write of a short line: appended whole, whoever else appends.
        with open(self.revoked_file, "a", encoding="ascii") as file:
            file.write(session.key + "\n")
        return ""


KINDS = {"memory": Memory, "redis": Redis, "dynamodb": DynamoDb, "token": Token}
