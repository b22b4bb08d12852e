"""A lease in a database, renewed at every third of it. Its owner goes by what it knew last."""
import os
import sqlite3
import time

from protocol import ID, path, serve

LEASE = float(os.environ["LEASE"])
database = sqlite3.connect(path("lease"), timeout=10, isolation_level=None)
database.execute("create table if not exists lease (id text, until real)")


def is_primary():
    now = time.time()
    database.execute("begin immediate")
    row = database.execute("select id, until from lease").fetchone()
    mine = row is None or row[0] == ID or row[1] < now
    if mine:
        database.execute("delete from lease")
        database.execute("insert into lease values (?, ?)", (ID, now + LEASE))
    database.execute("commit")
    return mine


serve(is_primary, every=LEASE / 3)
