import pytest
from PIL import Image

import hashtagger
from hashtagger.models.find import find_weights
from hashtagger.models.weights import read_config


def test_many_photos_one_of_them_bad(client, sample_photos, site):
    files = [
        ("files", ("꽃.jpg", sample_photos["flower"].read_bytes())),
        ("files", ("글.jpg", b"not a photo")),
        ("files", ("이름만.txt", sample_photos["palace"].read_bytes())),
    ]
    answer = client.post("/api/recommend", files=files)
    assert answer.status_code == 200
    flower, text, palace = answer.json()
    assert flower["photo"] == "꽃.jpg"
    assert flower["tags"][0]["tag"] == "꽃"
    assert flower["tags"][0]["related"]
    assert flower["error"] is None
    assert text == {"photo": "글.jpg", "tags": [], "error": "not a photo"}
    assert palace["error"] is None
    assert not (site.settings.data_dir / "users").exists()


def test_it_says_what_it_is_sure_of_unless_asked_for_more(client, sample_photos, tmp_path):
    Image.new("RGB", (64, 64), "gray").save(tmp_path / "gray.png")

    def ask(photo, **options):
        files = {"files": (photo.name, photo.read_bytes())}
        return [one["score"] for one in client.post("/api/recommend", params=options, files=files).json()[0]["tags"]]

    sure = read_config(find_weights("hashtags_ko")).threshold
    assert ask(tmp_path / "gray.png") == []
    assert all(score >= sure for score in ask(sample_photos["flower"]))
    every = ask(tmp_path / "gray.png", threshold=0, top_k=100)
    assert len(every) == 20
    assert ask(tmp_path / "gray.png", threshold=0) == every[:5]
    assert ask(tmp_path / "gray.png", threshold=every[2] - 1e-4, top_k=3) == every[:3]


def test_where_no_photo_can_be_read_the_call_fails_and_names_each(client):
    files = [("files", ("글.jpg", b"not a photo")), ("files", ("빈.png", b""))]
    answer = client.post("/api/recommend", files=files)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "글.jpg: not a photo; 빈.png: empty"


def test_errors_are_problem_details(client, sample_photos):
    photo = ("files", ("a.jpg", sample_photos["flower"].read_bytes()))
    for answer, status in (
        (client.post("/api/recommend"), 422),
        (client.post("/api/recommend", params={"vocabulary": "../x"}, files=[photo]), 404),
        *(
            (client.post("/api/recommend", params=wrong, files=[photo]), 422)
            for wrong in ({"top_k": 0}, {"top_k": "x"}, {"threshold": 1.01}, {"threshold": -1}, {"threshold": "nan"})
        ),
        (client.post("/api/recommend", files=[("files", ("a.jpg", b"x"))] * 31), 400),
        (client.get("/api/tags/normalize"), 422),
        (client.get("/api/tags/related", params={"tag": "꽃", "k": 0}), 422),
        (client.get("/api/nothing"), 404),
        (client.get("/api/recommend"), 405),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]


def test_an_odd_file_name_is_told_as_far_as_it_can_be(client):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="\\ud800.jpg"\r\n\r\nabc\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"}
    answer = client.post("/api/recommend", content=body, headers=headers)
    assert answer.json()["detail"] == "?.jpg: not a photo"


def test_tags(client):
    meaning = client.get("/api/tags/normalize", params={"tag": "#댕댕이"}).json()
    assert meaning["tag"] == "강아지"
    assert meaning["canonical"] == ["dog"]
    related = client.get("/api/tags/related", params={"tag": "댕댕이", "k": 3}).json()
    assert related["tag"] == "강아지"
    assert len(related["related"]) == 3
    related = client.get("/api/tags/related", params={"tag": "#멍스타그램"}).json()
    assert related == {"tag": "강아지", "related": hashtagger.related("멍스타그램")}


def test_health(client):
    health = client.get("/api/health").json()
    assert health["status"] == "ok"
    assert "hashtags_ko" in health["vocabularies"]


def test_errors_come_in_the_language_asked_for(client):
    english = client.get("/api/nothing").json()["detail"]
    korean = client.get("/api/nothing", headers={"Accept-Language": "ko"}).json()["detail"]
    assert english == "there is nothing here"
    assert korean != english


def test_it_does_what_its_openapi_says(client, site):
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
    from hypothesis import HealthCheck, given, settings

    schema = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())
    schema.config.update(base_url=site.url)
    accepted = schema.config.checks.positive_data_acceptance
    accepted.expected_statuses = [*accepted.expected_statuses, "415"]  # a schema cannot say which bytes are a photo
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert {operation.label for operation in operations} == {
        "POST /api/recommend",
        "GET /api/tags/normalize",
        "GET /api/tags/related",
        "GET /api/health",
    }
    for operation in operations:

        @settings(max_examples=50, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case):
            case.call_and_validate()

        check()
