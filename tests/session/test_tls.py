"""A router behind TLS, with certificates of a private authority."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pgwamp.errors import StartError
from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.servers import Addresses
from tests.session.proxy import Proxy


class Signed(NamedTuple):
    """A certificate and its key, and the files that they are in."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_file: Path
    key_file: Path


def sign(folder: Path, name: str, authority: Signed | None = None) -> Signed:
    """Make a certificate for 127.0.0.1; an authority where none signs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    is_authority = authority is None
    # From Python 3.13 on, ssl asks for all of these.
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.certificate.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                (authority.key if authority else key).public_key()
            ),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(authority.key if authority else key, SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Signed(certificate, key, *files)


class Pki(NamedTuple):
    """An authority, and what it has signed."""

    authority: Signed
    router: Signed
    component: Signed


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    authority = sign(folder, "authority")
    return Pki(authority, sign(folder, "router", authority), sign(folder, "component", authority))


@pytest.fixture(params=["rss", "wss"])
def target(request: pytest.FixtureRequest, addresses: Addresses) -> str:
    """A transport of the router: over both kinds it can be behind TLS."""
    return addresses.component if request.param == "rss" else addresses.clients


@asynccontextmanager
async def behind_tls(target: str, pki: Pki, *, asks: bool = False) -> AsyncIterator[str]:
    """Serve a transport behind TLS, which may ask for a certificate; yields its URL."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.router.certificate_file, pki.router.key_file)
    if asks:
        context.load_verify_locations(pki.authority.certificate_file)
        context.verify_mode = ssl.CERT_REQUIRED
    async with Proxy(target, context) as proxy:
        yield proxy.url


async def join(url: str, **tls: Any) -> None:
    """Join with these settings of ``[router.tls]``, and leave."""
    settings = RouterSettings.model_validate({"url": url, "tls": tls})
    async with Client(settings) as client:
        assert client.link.is_up


async def test_a_private_authority_is_trusted_where_it_is_named(target: str, pki: Pki) -> None:
    async with behind_tls(target, pki) as url:
        await join(url, ca=pki.authority.certificate_file)
        with pytest.raises(
            StartError, match=r"is not trusted .*: name the file .* router\.tls\.ca"
        ):
            await join(url)
        with pytest.raises(StartError, match="is not trusted"):
            await join(url.replace("127.0.0.1", "localhost"), ca=pki.authority.certificate_file)


async def test_a_router_that_asks_for_a_certificate_gets_it(target: str, pki: Pki) -> None:
    own = {
        "ca": pki.authority.certificate_file,
        "certificate": pki.component.certificate_file,
        "key": pki.component.key_file,
    }
    async with behind_tls(target, pki, asks=True) as url:
        await join(url, **own)
        with pytest.raises(StartError, match=r"name a certificate in router\.tls\.certificate"):
            await join(url, ca=pki.authority.certificate_file)


async def test_a_file_that_is_no_certificate_is_named(
    target: str, pki: Pki, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    async with behind_tls(target, pki) as url:
        with pytest.raises(StartError, match=r"router\.tls\.ca: .*correct the path"):
            await join(url, ca=wrong)
