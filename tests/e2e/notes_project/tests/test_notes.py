"""The notes of a user are the user's, and everybody's are for those who hold the permission."""

from authapp import OPERATOR, Services, testing


def test_a_guest_sees_no_notes(app):
    answer = testing.client(app).get("/api/v1/notes")

    assert (answer.status_code, answer.json["code"]) == (401, "token_missing")


def test_a_new_account_has_a_welcome_note(app):
    user = testing.create_user(app, "Grace")

    notes = testing.client(app, user).get("/api/v1/notes").json["items"]

    assert [note["body"] for note in notes] == ["Welcome, Grace."]


def test_a_note_is_listed_for_its_user_alone(app):
    ada, eve = testing.client(app, testing.create_user(app)), testing.client(app, testing.create_user(app))

    written = ada.post("/api/v1/notes", json={"body": "Buy milk."})

    assert written.status_code == 201
    assert written.json in ada.get("/api/v1/notes").json["items"]
    assert written.json not in eve.get("/api/v1/notes").json["items"]


def test_notes_are_deleted_with_the_link_in_a_mail(app):
    ada = testing.client(app, testing.create_user(app))
    assert ada.delete("/api/v1/notes").status_code == 202
    link = testing.send_mails(app)[-1].get_content().partition("#token=")[2].split()[0]
    assert len(ada.get("/api/v1/notes").json["items"]) == 1

    answers = [ada.put("/api/v1/auth/email-verifications", json={"token": link}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 400]
    assert ada.get("/api/v1/notes").json["items"] == []


def test_everybodys_notes_need_the_permission(app):
    with app.app_context():
        Services.of(app).roles.create("editor", ["notes:read"], context=OPERATOR)
    editor, other = testing.create_user(app, roles=["editor"]), testing.create_user(app)

    assert testing.client(app, editor).get("/api/v1/notes/all").status_code == 200
    assert testing.client(app, other).get("/api/v1/notes/all").json["code"] == "permission_denied"


def test_the_access_token_says_whether_the_user_has_notes(app):
    user = testing.create_user(app)

    claims = Services.of(app).tokens.read(testing.log_in(app, user).access_token)

    assert claims["notes:has_notes"] is True


def test_the_contract_says_who_may_do_what(app):
    document = testing.client(app).get("/openapi.json").json
    everybodys = document["paths"]["/api/v1/notes/all"]["get"]
    writing = document["paths"]["/api/v1/notes"]["post"]

    assert everybodys["summary"] == "List everybody's notes"
    assert everybodys["description"] == "Needs the permission `notes:read`."
    assert writing["requestBody"]["content"]["application/json"]["example"] == {"body": "Buy milk."}
    assert writing["responses"]["201"]["content"]["application/json"]["example"]["body"] == "Buy milk."
    assert writing["responses"]["415"]["content"]["application/problem+json"]["schema"] == {
        "$ref": "#/components/schemas/UnsupportedMediaTypeProblem"
    }


def test_a_password_with_the_name_of_the_service_is_refused(app):
    account = {"username": "alan", "email": "alan@example.com", "password": "take many notes a day"}

    answer = testing.client(app).post("/api/v1/auth/register", json=account)

    assert answer.json["errors"] == [{"pointer": "#/password", "detail": "It contains the name of this service."}]


def test_a_reserved_name_is_refused(app):
    account = {"username": "Support", "email": "support@example.com", "password": testing.PASSWORD}

    assert testing.client(app).post("/api/v1/auth/register", json=account).json["code"] == "username_taken"
