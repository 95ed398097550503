"""URLs and keys of Redis or Valkey."""

import pytest

from app.kit.settings.redis import check_redis_url
from app.settings import Settings

VERIFIED = "ssl_cert_reqs=required&ssl_check_hostname=true"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("redis://localhost", "redis://localhost"),
        ("valkey://user:p%40ss@[::1]:6380/2", "redis://user:p%40ss@[::1]:6380/2"),
        ("redis://localhost/?db=3", "redis://localhost/?db=3"),
        ("unix:///run/valkey.sock?db=1", "unix:///run/valkey.sock?db=1"),
        ("rediss://host:6380/0", f"rediss://host:6380/0?{VERIFIED}"),
        ("valkeys://host", f"rediss://host?{VERIFIED}"),
        (
            "rediss://host?ssl_cert_reqs=CERT_NONE",
            "rediss://host?ssl_cert_reqs=none&ssl_check_hostname=false",
        ),
    ],
)
def test_every_client_reads_a_url_alike(written: str, read: str) -> None:
    assert check_redis_url(written) == read
    assert check_redis_url(read) == read


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:6379", "write redis://"),
        ("redis+sentinel://host:26379/mymaster", "write redis://"),
        ("redis:///0", "write redis://"),
        ("unix://", "write redis://"),
        ("redis://:the-se/cret@host:6379", "write redis://"),
        ("redis://:the-se#cret@host:6379", "write redis://"),
        ("redis://:the-se?cret@host:6379", "write redis://"),
        ("redis://host:the-secret", "write redis://"),
        ("redis://host/first", "a number behind"),
        ("redis://host?db=-1", "a number behind"),
        ("redis://host?socket_timeout=5", "socket_timeout: the options are db"),
        ("redis://host?ssl_cert_reqs=none", "ssl_cert_reqs: the options are db"),
        ("rediss://host?ssl_ca_certs=/no/such.pem", "ssl_ca_certs: there is no such file"),
        ("rediss://host?ssl_cert_reqs=maybe", "write required or none"),
        ("rediss://host?ssl_check_hostname=false", "ssl_check_hostname: it is true"),
        (f"rediss://host?ssl_certfile={__file__}", "both ssl_certfile and ssl_keyfile"),
    ],
)
def test_error_says_what_is_allowed(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        check_redis_url(url)
    assert "the-se" not in str(raised.value)


def test_services_and_stages_have_keys_of_their_own(settings: Settings) -> None:
    def prefix(**changes: str) -> str:
        return settings.model_copy(update={"redis_prefix": "", **changes}).key_prefix

    stages = {prefix(environment=stage) for stage in ("development", "staging", "production")}
    assert len(stages | {prefix(service_slug="another")}) == 4
    assert prefix(redis_prefix="mine") == "mine"
