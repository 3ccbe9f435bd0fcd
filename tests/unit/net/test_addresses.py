"""The address rules, vector by vector."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixeldojo.net.addresses import MAX_URL_CHARACTERS, AddressPolicy, RefusedAddress

PUBLIC = AddressPolicy()
LOOPBACK = AddressPolicy(allowed_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
HTTP = AddressPolicy(allow_http=True)

REFUSED = {
    "private": ["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"],
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "link-local": ["169.254.0.1", "169.254.169.254", "fe80::1", "febf:ffff::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "carrier": ["100.64.0.0", "100.127.255.255"],
    "protocol": ["192.0.0.1", "192.0.0.171", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "3fff:fff:ffff::1"],
    "6to4": ["192.88.99.1", "2002::1", "2002:7f00:1::"],
    "benchmark": ["198.18.0.1", "198.19.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "fec0::1", "4000::1", "1::1", "::ffff:0:127.0.0.1", "100:0:0:1::1"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.216.34", "::ffff:7f00:1"],
    "IPv4-compatible": ["::127.0.0.1", "::93.184.216.34"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::5db8:d822", "64:ff9b:1::1"],
    "discard": ["100::1"],
    "Teredo": ["2001:0:53aa:64c::1"],
    "segment routing": ["5f00::1"],
    "(private)": ["fc00::1", "fd00:ec2::254", "fdff::1"],
}
ALLOWED = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1",
    "192.88.98.1", "192.167.255.255", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255",
    "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001::1", "2400:cb00::1", "3ffe::1",
]  # fmt: skip


@pytest.mark.parametrize(("what", "address"), [(what, each) for what, all_ in REFUSED.items() for each in all_])
def test_an_address_that_is_not_public_is_refused(what: str, address: str) -> None:
    with pytest.raises(RefusedAddress) as caught:
        PUBLIC.check_address(ip_address(address))
    assert what in str(caught.value)
    assert address not in str(caught.value)


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_passes(address: str) -> None:
    PUBLIC.check_address(ip_address(address))


@given(st.ip_addresses(v=4))
def test_nothing_that_python_calls_special_passes(address: object) -> None:
    parsed = ip_address(str(address))
    if not parsed.is_global or parsed.is_multicast or parsed.is_reserved:
        with pytest.raises(RefusedAddress):
            PUBLIC.check_address(parsed)


@given(st.ip_addresses(v=6))
def test_of_ipv6_only_global_unicast_passes(address: object) -> None:
    parsed = ip_address(str(address))
    if parsed not in ip_network("2000::/3") or not parsed.is_global:
        with pytest.raises(RefusedAddress):
            PUBLIC.check_address(parsed)


def test_the_operator_opens_a_network_and_only_that() -> None:
    LOOPBACK.check_address(ip_address("127.0.0.1"))
    LOOPBACK.check_address(ip_address("127.0.0.1"), scheme="http")
    LOOPBACK.check_address(ip_address("::1"))
    for address in ("10.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "169.254.169.254"):
        with pytest.raises(RefusedAddress):
            LOOPBACK.check_address(ip_address(address))


def test_http_needs_the_operators_word_or_an_opened_network() -> None:
    with pytest.raises(RefusedAddress, match="https"):
        PUBLIC.check_address(ip_address("8.8.8.8"), scheme="http")
    with pytest.raises(RefusedAddress, match="https"):
        LOOPBACK.check_address(ip_address("8.8.8.8"), scheme="http")
    HTTP.check_address(ip_address("8.8.8.8"), scheme="http")


def test_of_a_names_addresses_only_the_public_ones_are_admitted() -> None:
    found = ["127.0.0.1", "64:ff9b::5db8:d822", "93.184.216.34", "fe80::1%eth0", "2606:4700::1"]
    assert [str(address) for address in PUBLIC.admit(found, scheme="https")] == ["93.184.216.34", "2606:4700::1"]


def test_a_name_that_leads_inside_is_refused_without_telling_where() -> None:
    with pytest.raises(RefusedAddress) as caught:
        PUBLIC.admit(["10.1.2.3", "fd00::7"], scheme="https")
    assert "10.1.2.3" not in str(caught.value)
    assert "private" not in str(caught.value)
    with pytest.raises(RefusedAddress, match="https"):
        PUBLIC.admit(["8.8.8.8"], scheme="http")
    assert PUBLIC.admit([], scheme="https") == []


REFUSED_URLS = [
    ("http://example.com/", "https://"),
    ("ftp://example.com/", "https://"),
    ("file:///etc/passwd", "https://"),
    ("gopher://127.0.0.1/", "https://"),
    ("javascript:alert(1)", "https://"),
    ("data:text/plain,x", "https://"),
    ("//example.com/x", "https://"),
    ("example.com/x", "https://"),
    ("", "https://"),
    ("https:///path", "host"),
    ("https:example.com", "host"),
    ("https://", "host"),
    ("https://user:pass@example.com/", "user name or password"),
    ("https://user@example.com/", "user name or password"),
    ("https://@example.com/", "user name or password"),
    ("https://example.com:pw@127.0.0.1/", "user name or password"),
    ("https://example.com\\@127.0.0.1/", "backslashes"),
    ("https://exam ple.com/", "spaces"),
    ("https://example.com/\r\nHost: evil", "control characters"),
    ("https://example.com/\x00", "control characters"),
    ("\thttps://example.com/", "control characters"),
    ("https://example.com:0/", "port 0"),
    ("https://example.com:65536/", "not a valid URL"),
    ("https://example.com:80:80/", "not a valid URL"),
    ("https://example.com:abc/", "not a valid URL"),
    ("https://[::1/", "not a valid URL"),
    ("https://xn--a/", "not a valid URL"),
    ("https://a..b/", "not a valid name"),
    ("https://.example.com/", "not a valid name"),
    ("https://127%2e0.0.1/", "not a valid name"),
    ("https://exam%70le.com/", "not a valid name"),
    (f"https://{'a' * 64}.com/", "not a valid name"),
    (f"https://{'.'.join(['a' * 60] * 5)}/", "not a valid name"),
    ("https://2130706433/", "plain address"),
    ("https://0x7f000001/", "plain address"),
    ("https://017700000001/", "plain address"),
    ("https://0177.0.0.1/", "plain address"),
    ("https://0x7f.0.0.1/", "plain address"),
    ("https://0x7f.1/", "plain address"),
    ("https://127.1/", "plain address"),
    ("https://127.0.1/", "plain address"),
    ("https://127.0.0.01/", "plain address"),
    ("https://127.0.0.1./", "plain address"),
    ("https://1.2.3.4.5/", "plain address"),
    ("https://999.1.1.1/", "plain address"),
    ("https://example.0x/", "plain address"),
    ("https://127.0.0.1/", "loopback"),
    ("https://127.0.0.1:8443/x", "loopback"),
    ("https://\u2460\u2461\u2466.0.0.1/", "loopback"),
    ("https://127\u30020\u30020\u30021/", "loopback"),
    ("https://[::1]/", "loopback"),
    ("https://[0:0:0:0:0:0:0:1]/", "loopback"),
    ("https://[::ffff:127.0.0.1]/", "IPv4-mapped"),
    ("https://[::ffff:7f00:1]/", "IPv4-mapped"),
    ("https://[::127.0.0.1]/", "IPv4-compatible"),
    ("https://[64:ff9b::127.0.0.1]/", "NAT64"),
    ("https://[64:ff9b:1::1]/", "NAT64"),
    ("https://[fe80::1%25eth0]/", "interface"),
    ("https://169.254.169.254/latest/meta-data/", "link-local"),
    ("https://0.0.0.0/", "unspecified"),
    ("https://[::]/", "unspecified"),
    ("https://localhost/", "this server itself"),
    ("https://LOCALHOST./", "this server itself"),
    ("https://a.localhost/", "this server itself"),
    ("https://" + "a" * MAX_URL_CHARACTERS, "2,048"),
]


@pytest.mark.parametrize(("url", "why"), REFUSED_URLS)
def test_a_url_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(RefusedAddress) as caught:
        PUBLIC.check_url(url)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("https://example.com/hook?a=b", "https://example.com/hook?a=b"),
        ("HTTPS://EXAMPLE.com:8443/Hook", "https://example.com:8443/Hook"),
        ("https://example.com./x", "https://example.com./x"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com?a=b", "https://example.com/?a=b"),
        ("https://example.com/a%2Fb/%7e?sig=a%2Fb%2B%3d+c", "https://example.com/a%2Fb/%7e?sig=a%2Fb%2B%3d+c"),
        ("https://example.com/x#part", "https://example.com/x"),
        ("https://example.com/x?u=a@b", "https://example.com/x?u=a@b"),
        ("https://example.com/#@127.0.0.1", "https://example.com/"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://a_b.example/", "https://a_b.example/"),
        ("https://notlocalhost/", "https://notlocalhost/"),
        ("https://1.1.1.1/", "https://1.1.1.1/"),
        ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"),
        ("https://0x7f.example/", "https://0x7f.example/"),
        ("https://example.com/" + "a" * 2_028, "https://example.com/" + "a" * 2_028),
    ],
)
def test_a_good_url_passes_as_it_will_be_dialled(url: str, dialled: str) -> None:
    assert str(PUBLIC.check_url(url)) == dialled


def test_the_quick_start_may_post_to_loopback_over_http() -> None:
    for url in ("http://127.0.0.1:9000/hook", "http://[::1]:9000/", "http://localhost:9000/", "https://localhost/"):
        LOOPBACK.check_url(url)
    with pytest.raises(RefusedAddress, match="https"):
        LOOPBACK.check_url("http://8.8.8.8/")
    with pytest.raises(RefusedAddress, match="plain address"):
        LOOPBACK.check_url("http://2130706433/")


@pytest.mark.parametrize(
    ("networks", "allow_http", "is_taken"),
    [
        ((), False, False),
        (("127.0.0.0/8", "::1/128"), False, False),
        (("127.0.0.0/8", "10.0.0.0/8"), False, True),
        (("fd00::/8",), False, True),
        ((), True, True),
    ],
)
def test_a_name_over_http_is_taken_only_where_it_may_lead_to_an_opened_network(
    networks: tuple[str, ...], allow_http: bool, is_taken: bool
) -> None:
    policy = AddressPolicy(tuple(map(ip_network, networks)), allow_http)
    if is_taken:
        assert str(policy.check_url("http://example.com/x")) == "http://example.com/x"
        return
    with pytest.raises(RefusedAddress, match=r"plain http is .*; use an https:// address"):
        policy.check_url("http://example.com/x")


@given(st.text(max_size=80))
def test_no_text_does_anything_but_pass_or_be_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/", f"https://example.com{text}"):
        try:
            parsed = PUBLIC.check_url(url)
        except RefusedAddress:
            continue
        assert parsed.scheme == "https"
        assert parsed.user is None
        assert parsed.raw_host
