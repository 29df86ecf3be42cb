"""Interruption notices from files and from a real HTTP server."""

import http.server
import threading

import pytest

from dnaml.core.errors import InputError
from dnaml.core.events import InterruptionNotice, ResourceDown, ResourceUp
from dnaml.core.resource import Resource
from dnaml.execution.notices import LABEL, Cloud, Labelled, NoticeWatch, Source, parse, read, source_of

AWS = '{"action": "terminate", "time": "2026-11-22T18:02:00Z"}'
AT_S = 1_795_370_400.0  # 2026-11-22 18:00 UTC


@pytest.fixture
def server():
    """Serve the text of `told` with its status at any path."""
    told = {"text": "", "status": 404}

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(told["status"])
            self.end_headers()
            self.wfile.write(told["text"].encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}/notice", told
    running.shutdown()
    running.server_close()
    thread.join()


def test_an_aws_notice_says_when_the_machine_goes():
    notice = parse(AWS, Source(resource_id="m", cloud=Cloud.AWS, at=""), AT_S)
    assert notice == InterruptionNotice(at_s=AT_S, resource_id="m", gone_at_s=AT_S + 120, reason="aws: terminate")
    naive = parse(AWS.replace("Z", ""), Source(resource_id="m", cloud=Cloud.AWS, at=""), AT_S)
    assert naive == notice


def test_a_gce_notice_leaves_thirty_seconds():
    source = Source(resource_id="m", cloud=Cloud.GCE, at="")
    assert parse("TRUE\n", source, 10.0).gone_at_s == 40.0
    assert parse("FALSE", source, 10.0) is None


@pytest.mark.parametrize(("cloud", "text"), [(Cloud.AWS, "{"), (Cloud.AWS, '{"action": "stop"}'), (Cloud.GCE, "maybe")])
def test_a_broken_notice_is_refused(cloud, text):
    with pytest.raises(InputError, match="m: a"):
        parse(text, Source(resource_id="m", cloud=cloud, at=""), 0.0)


def test_a_notice_over_http_is_posted_once_and_again_when_it_changes(server):
    address, told = server
    posted = []
    watch = NoticeWatch([Source(resource_id="m", cloud=Cloud.AWS, at=address)], posted.append, lambda: AT_S)
    watch.look()
    assert posted == []
    told.update(text=AWS, status=200)
    watch.look()
    watch.look()
    assert [one.gone_at_s for one in posted] == [AT_S + 120]
    told.update(text=AWS.replace("18:02", "18:05"))
    watch.look()
    assert [one.gone_at_s for one in posted] == [AT_S + 120, AT_S + 300]


def test_a_server_that_fails_or_is_gone_is_looked_at_again(server, caplog):
    address, told = server
    told.update(status=500)
    with pytest.raises(OSError, match="500"):
        read(Source(resource_id="m", cloud=Cloud.AWS, at=address))
    gone = Source(resource_id="m", cloud=Cloud.AWS, at="http://127.0.0.1:9/notice")
    posted = []
    NoticeWatch([gone], posted.append, lambda: 0.0).look()
    assert posted == []
    assert "no notice can be read of m" in caplog.text


def test_a_notice_in_a_file_is_found_by_the_thread(tmp_path):
    file = tmp_path / "preempted"
    posted, came = [], threading.Event()

    def post(notice: InterruptionNotice) -> None:
        posted.append(notice)
        came.set()

    source = Source(resource_id="m", cloud=Cloud.GCE, at=str(file))
    watch = NoticeWatch([source], post, lambda: 5.0, every_s=0.02).start()
    try:
        fresh = tmp_path / "fresh"
        fresh.write_text("TRUE")
        fresh.replace(file)
        assert came.wait(10)
    finally:
        watch.stop()
    assert [one.gone_at_s for one in posted] == [35.0]


def test_a_label_says_where_the_notice_appears():
    assert source_of(Resource(id="m")) is None
    source = source_of(Resource(id="m", labels={LABEL: "aws:http://127.0.0.1:1/x"}))
    assert source == Source(resource_id="m", cloud=Cloud.AWS, at="http://127.0.0.1:1/x")
    for broken in ("azure:/x", "aws", "gce:"):
        with pytest.raises(InputError, match="must be aws:ADDRESS or gce:ADDRESS"):
            source_of(Resource(id="m", labels={LABEL: broken}))


def test_what_is_left_counts_on_the_clock_of_the_cloud():
    notice = parse(AWS, Source(resource_id="m", cloud=Cloud.AWS, at=""), 1000.0, AT_S)
    assert notice.gone_at_s == 1120.0


def test_labelled_resources_are_watched_while_they_are_up(tmp_path):
    file = tmp_path / "preempted"
    file.write_text("TRUE")
    posted, came = [], threading.Event()

    def post(event: object) -> None:
        posted.append(event)
        came.set()

    labelled = Labelled(post, lambda: 5.0, every_s=0.01)
    try:
        labelled.see(ResourceUp(at_s=0.0, resource=Resource(id="m", labels={LABEL: f"gce:{file}"})))
        labelled.see(ResourceUp(at_s=0.0, resource=Resource(id="plain")))
        assert came.wait(30)
        labelled.see(ResourceDown(at_s=1.0, resource_id="m", reason="gone"))
    finally:
        labelled.stop()
    assert [(one.resource_id, one.gone_at_s) for one in posted] == [("m", 35.0)]
