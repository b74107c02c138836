"""A local fake of Instagram that the real instaloader talks to."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

PAGE = 2
CDN = "scontent.cdninstagram.com"


def jpeg(color: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (color, 0, 0)).save(stream, "JPEG")
    return stream.getvalue()


def media(code: str, taken_at: int, caption: str | None = None, *, video: bool = False, items: int = 0) -> dict:
    """A post as Instagram's current API describes it."""
    number = sum(ord(letter) << 8 * place for place, letter in enumerate(code[-3:]))
    picture = {"image_versions2": {"candidates": [{"url": f"https://{CDN}/{code}.jpg?x=1"}]}}
    film = {"video_versions": [{"url": f"https://{CDN}/{code}.mp4?x=1"}]}
    carousel = []
    for item in range(items):
        last = item == items - 1
        carousel.append(
            {
                "media_type": 2 if last else 1,
                "code": f"{code}{item}",
                "image_versions2": {"candidates": [{"url": f"https://{CDN}/{code}{item}.jpg?x=1"}]},
                **({"video_versions": [{"url": f"https://{CDN}/{code}{item}.mp4?x=1"}]} if last else {}),
            }
        )
    return {
        "code": code,
        "pk": str(number),
        "id": f"{number}_7",
        "media_type": 8 if items else 2 if video else 1,
        "taken_at": taken_at,
        "user": {"pk": "7", "username": "someone", "full_name": "", "is_private": False, "profile_pic_url": ""},
        "caption": {"text": caption} if caption is not None else None,
        "like_count": 1,
        "comment_count": 0,
        "has_liked": False,
        "location": {"pk": "1", "name": "제주", "lat": 33.5, "lng": 126.5},
        **picture,
        **(film if video else {}),
        **({"carousel_media": carousel} if items else {}),
    }


class Instagram:
    """What the server shows, and what it was asked."""

    def __init__(self) -> None:
        self.posts = [
            media("CrAAAAAAAAA", 1_689_000_000, "여름 #바다"),
            media("CrBBBBBBBBB", 1_686_000_000, "셋 #여행 #제주", items=3),
            media("CrCCCCCCCCC", 1_683_000_000, video=True),
            media("CrDDDDDDDDD", 1_682_000_000, "우리집 댕댕이 🐶 #강아지"),
        ]
        self.private = False
        self.password = "바른-비밀번호"
        self.code: str | None = None
        self.checkpoint = False
        self.fail: dict[str, tuple[int, dict]] = {}
        """Status and JSON to answer with for requests whose name contains the key."""
        self.asked: list[str] = []

    def page_of_posts(self, after: str | None) -> dict:
        start = int(after or 0)
        edges = [{"node": post} for post in self.posts[start : start + PAGE]]
        more = start + PAGE < len(self.posts)
        return {"edges": edges, "page_info": {"has_next_page": more, "end_cursor": str(start + PAGE)}}

    def user(self) -> dict:
        return {
            "pk": "7", "id": "17840000000000007", "username": "someone", "is_private": self.private,
            "all_media_count": len(self.posts), "media_count": len(self.posts), "full_name": "가상 인물",
            "friendship_status": {"following": False},
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: in two, each answer waits 40 ms for a delayed ACK

    def log_message(self, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        self.route({})

    def do_HEAD(self) -> None:
        self.route({})

    def do_POST(self) -> None:
        self.route(parse_qs(self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()))

    def route(self, form: dict[str, list[str]]) -> None:
        shown: Instagram = self.server.instagram
        address = urlsplit(self.path)
        __, host, path = address.path.split("/", 2)
        asked = {key: values[0] for key, values in {**parse_qs(address.query), **form}.items()}
        variables = json.loads(asked.get("variables", "{}"))
        named = f"{host}/{path} {asked.get('doc_id', asked.get('query_hash', ''))} {variables.get('shortcode', '')}"
        shown.asked.append(f"{named.strip()} as {'sessionid=opened' in self.headers.get('Cookie', '')}")
        for text, (status, document) in shown.fail.items():
            if text in shown.asked[-1]:
                return self.answer(document, status)
        if host == CDN:
            return self.download(path)
        if "login/ajax" in path:
            return self.log_in(path, asked)
        if path == "":
            return self.page('"LSD",[],{"token":"t"} "IG_USER_EIMU":"0" "DTSGInitialData",[],{"token":"t"}')
        if path == "someone/":
            return self.profile()
        if path == "api/v1/tags/web_info/":
            return self.answer({"data": {"name": asked["tag_name"], "id": "1"}, "status": "ok"})
        if path in ("api/graphql", "graphql/query"):
            return self.query(asked, variables)
        return self.answer({"status": "fail", "message": "not found"}, 404)

    def query(self, asked: dict[str, str], variables: dict) -> None:
        shown: Instagram = self.server.instagram
        page = shown.page_of_posts(variables.get("after"))
        if "shortcode" in variables:
            items = [post for post in shown.posts if post["code"] == variables["shortcode"]]
            data = {"xdt_api__v1__media__shortcode__web_info": {"items": items}}
        elif asked.get("query_hash"):
            edges = [{"node": legacy(edge["node"])} for edge in page["edges"]]
            data = {"hashtag": {"edge_hashtag_to_media": {**page, "edges": edges}}}
        elif "render_surface" in variables:
            data = {"user": shown.user()}
        elif "username" in variables:
            data = {"xdt_api__v1__feed__user_timeline_graphql_connection": page}
        else:
            data = {"node": {"polaris_ordered_timeline_connection": page}}
        self.answer({"data": data, "status": "ok"})

    def profile(self) -> None:
        shown: Instagram = self.server.instagram
        user = shown.user()
        if not shown.private:
            user["polaris_ordered_timeline_connection"] = shown.page_of_posts(None)
        box = {"require": [["x", {"__bbox": {"result": {"data": {"xig_user_by_username": user}}}}]]}
        self.page(f'<script type="application/json" data-sjs>{json.dumps(box)}</script>')

    def log_in(self, path: str, asked: dict[str, str]) -> None:
        shown: Instagram = self.server.instagram
        if path.endswith("two_factor/"):
            right = asked["verificationCode"] == shown.code
            return self.answer(
                {"status": "ok"} if right else {"status": "fail", "message": "wrong code"}, session=right
            )
        if shown.checkpoint:
            return self.answer({"checkpoint_url": "/challenge/1/", "status": "fail", "message": "checkpoint_required"})
        if not asked["enc_password"].endswith(":" + shown.password):
            return self.answer({"authenticated": False, "user": True, "status": "ok"})
        if shown.code:
            return self.answer({"two_factor_required": True, "two_factor_info": {"two_factor_identifier": "1"}})
        return self.answer({"authenticated": True, "user": True, "userId": "7", "status": "ok"}, session=True)

    def download(self, path: str) -> None:
        video = path.endswith(".mp4")
        body = b"\0\0\0\x18ftypisom" + path.encode() if video else jpeg(sum(path.encode()) % 256)
        self.send(body, "video/mp4" if video else "image/jpeg")

    def page(self, text: str) -> None:
        self.send(f"<html>{text}</html>".encode(), "text/html", cookies=["csrftoken=t"])

    def answer(self, document: dict, status: int = 200, *, session: bool = False) -> None:
        cookies = ["csrftoken=t", "sessionid=opened", "ds_user_id=7"] if session else ["csrftoken=t"]
        self.send(json.dumps(document).encode(), "application/json", status, cookies)

    def send(self, body: bytes, kind: str, status: int = 200, cookies: list[str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for cookie in cookies or []:
            self.send_header("Set-Cookie", cookie + "; Path=/")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def legacy(post: dict) -> dict:
    """A post as the older API, still used for hashtags, describes it."""
    return {
        "shortcode": post["code"],
        "id": post["pk"],
        "__typename": {1: "GraphImage", 2: "GraphVideo", 8: "GraphImage"}[post["media_type"]],
        "is_video": post["media_type"] == 2,
        "taken_at_timestamp": post["taken_at"],
        "display_url": post["image_versions2"]["candidates"][0]["url"],
        "owner": {"id": "7"},
        "edge_media_to_caption": {"edges": []},
        "iphone_struct": post,
    }


@pytest.fixture
def instagram(monkeypatch, tmp_path):
    """Run the server, redirect all of instaloader's requests to it, and disable its waiting."""
    import instaloader
    import requests
    from requests.adapters import HTTPAdapter

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.instagram = Instagram()

    class Redirect(HTTPAdapter):
        def send(self, request, **options):
            real = request.url
            address = urlsplit(real)
            request.url = f"http://127.0.0.1:{server.server_port}/{address.hostname}{address.path}?{address.query}"
            response = super().send(request, **options)
            request.url = response.url = real
            return response

    redirect = Redirect()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda session, url: redirect)
    monkeypatch.setattr(instaloader.InstaloaderContext, "do_sleep", lambda context: None)
    monkeypatch.setattr(instaloader.RateController, "sleep", lambda controller, seconds: None)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "config"))
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    yield server.instagram
    server.shutdown()
    server.server_close()
    redirect.close()
