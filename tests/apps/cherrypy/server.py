"""CherryPy's own session tutorial on the port given: sessions live in the memory of this process."""

import sys

import cherrypy
from cherrypy.tutorial.tut07_sessions import HitCounter

cherrypy.config.update(
    {
        "server.socket_host": "127.0.0.1",
        "server.socket_port": int(sys.argv[1]),
        "engine.autoreload.on": False,
        "log.screen": False,
    }
)
cherrypy.quickstart(HitCounter())
