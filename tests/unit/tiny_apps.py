"""Small applications with known faults, for tests of the instruments. They run in processes of their own."""

SHELF = """
import asyncio
import concurrent.futures
import hashlib
import os
import time

from fastapi import APIRouter, FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from sqlalchemy import ForeignKey, create_engine, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

URL = os.environ["DATABASE_URL"]
engine = create_engine(URL)
slow_engine = create_async_engine(URL.replace("sqlite:", "sqlite+aiosqlite:"))


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship(back_populates="books")


app = FastAPI()
api = APIRouter(prefix="/api")


@api.get("/authors")
def list_authors(limit: int = 8):
    with Session(engine) as session:
        return [
            {"name": author.name, "books": len(author.books)}
            for author in session.scalars(select(Author).order_by(Author.id).limit(limit))
        ]


@api.get("/authors/{author_id}")
def get_author(author_id: int):
    with Session(engine) as session:
        return {"name": session.get(Author, author_id).name}


@api.get("/counted")
async def count_books():
    async with slow_engine.connect() as connection:
        return (await connection.execute(text("SELECT count(*) FROM books WHERE id > :n"), {"n": 3})).scalar()


@api.get("/asleep")
async def sleep_on_the_loop():
    time.sleep(0.2)
    return "slept"


def look_up(number):
    with engine.connect() as connection:
        return connection.execute(text("SELECT title FROM books WHERE id = :n"), {"n": number}).scalar()


@api.get("/pooled")
def use_a_pool():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(look_up, (1, 2, 3)))


@api.get("/crunched")
def crunch():
    return {"digest": burn(60_000)}


def burn(rounds):
    digest = b""
    for number in range(rounds):
        digest = hashlib.md5(digest + b"%d" % number).digest()
    return digest.hex()


@api.get("/listed")
def list_titles():
    return ["a title that repeats itself"] * 3000


kept = {"count": 0}


@api.post("/kept")
def keep(item: dict):
    kept["count"] += item["by"]
    return kept


@api.get("/kept")
def get_kept():
    return kept


mounted = FastAPI()


@mounted.get("/{word}")
def echo(word: str):
    return word


app.include_router(api)
app.mount("/sub", mounted)
"""

SEED = """
import os

from shelf import Author, Base, Book, Session, engine

Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all(Author(name=f"Author {a}", books=[Book(title=f"Book {b}") for b in range(60)]) for a in range(50))
    session.commit()
"""

DESK = """
import os
import sqlite3

from flask import Flask, abort

app = Flask(__name__)


@app.route("/loans/<int:reader>")
def loans(reader):
    if reader == 0:
        abort(404)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE loan (reader INT, title TEXT)")
    connection.executemany("INSERT INTO loan VALUES (?, ?)", [(reader, "a"), (reader, "b")])
    cursor = connection.execute("SELECT title FROM loan WHERE reader = ?", (reader,))
    return {"titles": [row[0] for row in cursor]}


@app.route("/streamed")
def streamed():
    return (part for part in ("one", "two", "three"))


if __name__ == "__main__":
    import sys
    import threading
    import urllib.error
    import urllib.request
    from wsgiref.simple_server import make_server

    with make_server("127.0.0.1", 0, app) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for path in sys.argv[1:]:
            try:
                print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}").read().decode())
            except urllib.error.HTTPError as error:
                print(error.code)
        server.shutdown()
"""
