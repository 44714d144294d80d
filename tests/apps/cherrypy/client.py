"""A browser's behaviour with the standard library: SESSIONS cookie jars, VISITS page views each, in turns.

Prints how many sessions lost their count on the way."""

import http.cookiejar
import re
import sys
import urllib.request

url, sessions, visits = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
browsers = [
    urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    for _ in range(sessions)
]
lost = set()
for visit in range(1, visits + 1):
    for number, browser in enumerate(browsers):
        page = browser.open(url, timeout=20).read().decode()
        count = int(re.search(r"page (\d+) times", page).group(1))
        if count != visit:
            lost.add(number)
print(f"lost {len(lost)} of {sessions}")
