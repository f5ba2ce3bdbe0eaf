from flask.testing import FlaskClient
from library import db


def test_health(client: FlaskClient) -> None:
    assert client.get("/health").json == {"status": "ok"}


def test_overdue_is_sorted_and_complete(client: FlaskClient) -> None:
    answer = client.get("/api/branches/1/overdue").json
    assert answer["branch"] == "Centre"
    assert answer["today"] == "2026-06-30"
    due = [item["due_on"] for item in answer["overdue"]]
    assert due == sorted(due)
    assert max(due) < "2026-06-30"
    first = answer["overdue"][0]
    assert set(first) == {"loan", "title", "authors", "member", "due_on", "fine"}
    assert first["fine"] == "20.00"
    assert first["authors"]
    assert first["member"]["open_loans"] >= 1


def test_overdue_has_a_limit(client: FlaskClient) -> None:
    whole = client.get("/api/branches/2/overdue?limit=200").json["overdue"]
    assert client.get("/api/branches/2/overdue?limit=3").json["overdue"] == whole[:3]
    assert len(client.get("/api/branches/2/overdue?limit=-1").json["overdue"]) == 1


def test_unknown_branch(client: FlaskClient) -> None:
    assert client.get("/api/branches/99/overdue").status_code == 404


def test_member_shows_loans_and_fine(client: FlaskClient) -> None:
    overdue = client.get("/api/branches/1/overdue?limit=1").json["overdue"][0]
    members = (client.get(f"/api/members/{number}") for number in range(1, 91))
    owners = [answer.json for answer in members if overdue["loan"] in [loan["loan"] for loan in answer.json["loans"]]]
    assert len(owners) == 1
    assert owners[0]["name"] == overdue["member"]["name"]
    assert len(owners[0]["loans"]) == overdue["member"]["open_loans"]
    assert float(owners[0]["fine"]) >= 20


def test_unknown_member(client: FlaskClient) -> None:
    assert client.get("/api/members/99999").status_code == 404


def test_books_come_by_title_in_pages(client: FlaskClient) -> None:
    pages = [client.get(f"/api/books?genre=novel&page={page}").json["books"] for page in (1, 2, 3, 4, 5)]
    titles = [book["title"] for page in pages for book in page]
    assert titles == sorted(titles)
    assert all(len(page) <= 20 for page in pages)
    assert all(1 <= len(book["authors"]) <= 3 for book in pages[0])
    assert all(book["rating"] is None or 1 <= book["rating"] <= 5 for book in pages[0])


def test_unknown_genre_is_empty(client: FlaskClient) -> None:
    assert client.get("/api/books?genre=opera").json["books"] == []


def lend(client: FlaskClient, member: int, book: int):
    return client.post("/api/loans", json={"member_id": member, "book_id": book, "branch_id": 1})


def test_lending_and_returning_shows_at_once(client: FlaskClient) -> None:
    member = next(n for n in range(1, 41) if len(client.get(f"/api/members/{n}").json["loans"]) < 9)
    book = next(book for book in client.get("/api/books?genre=crime").json["books"] if book["on_shelf"] > 0)
    before = len(client.get(f"/api/members/{member}").json["loans"])
    lent = lend(client, member, book["id"])
    assert lent.status_code == 201
    assert lent.json["due_on"] == "2026-07-28"
    assert len(client.get(f"/api/members/{member}").json["loans"]) == before + 1
    shelf = {found["id"]: found["on_shelf"] for found in client.get("/api/books?genre=crime").json["books"]}
    assert shelf[book["id"]] == book["on_shelf"] - 1
    back = client.post(f"/api/loans/{lent.json['loan']}/return")
    assert back.json == {"loan": lent.json["loan"], "fine": "0.00"}
    assert len(client.get(f"/api/members/{member}").json["loans"]) == before


def test_returning_twice_is_refused(client: FlaskClient) -> None:
    loan = client.get("/api/branches/3/overdue?limit=1").json["overdue"][0]
    back = client.post(f"/api/loans/{loan['loan']}/return")
    assert back.json["fine"] == loan["fine"]
    assert client.post(f"/api/loans/{loan['loan']}/return").status_code == 409
    left = client.get("/api/branches/3/overdue?limit=200").json["overdue"]
    assert loan["loan"] not in [item["loan"] for item in left]


def test_no_copy_left(client: FlaskClient) -> None:
    book = next(book for book in client.get("/api/books?genre=crime").json["books"] if book["on_shelf"] > 0)
    codes = [lend(client, member, book["id"]).status_code for member in range(1, 41)]
    assert codes.count(201) == book["on_shelf"]
    assert codes[-1] == 409


def test_ten_books_are_the_limit(client: FlaskClient) -> None:
    codes = [lend(client, 5, book).status_code for book in range(1, 60)]
    assert len(client.get("/api/members/5").json["loans"]) == 10
    assert 409 in codes


def test_incomplete_loans_are_refused(client: FlaskClient) -> None:
    assert client.post("/api/loans", json={"member_id": 1}).status_code == 400
    assert client.post("/api/loans", data="no json").status_code == 400
    assert lend(client, 9999, 1).json == {"error": "no such member"}
    assert client.post("/api/loans/999999/return").status_code == 404


def test_migrations_go_down_and_up_again(tmp_path) -> None:
    connection = db.connect(f"sqlite:///{tmp_path / 'empty.db'}")
    applied = db.migrate(connection)
    assert db.migrate(connection) == []
    undone = []
    while name := db.rollback(connection):
        undone.append(name)
    assert undone == applied[::-1]
    assert db.migrate(connection) == applied
    connection.close()
