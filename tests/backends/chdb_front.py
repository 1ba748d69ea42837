#!/usr/bin/env python3
"""ClickHouse's HTTP interface, as far as a POST of SQL goes, over chdb, an embedded ClickHouse.

Prints its port. Needs the Python package chdb (tried with 4.4.0); the database is of this process
and goes with it.
"""

import http.server
import urllib.parse

from chdb import session

SESSION = session.Session()


class Front(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        sql = self.rfile.read(int(self.headers["content-length"])).decode()
        kind = query.get("default_format", ["TabSeparated"])[0]
        try:
            body, status = SESSION.query(sql, kind).bytes() or b"", 200
        except Exception as error:  # as the server: the message, and not 200
            body, status = str(error).encode(), 500
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = http.server.HTTPServer(("127.0.0.1", 0), Front)
    print(server.server_address[1], flush=True)
    server.serve_forever()
