import stat

import pytest
from cryptography.hazmat.primitives import serialization

from kubewheel.lib import tls

NOW = 1_767_225_600.0


def der(pair):
    return pair.certificate().public_bytes(serialization.Encoding.DER)


def test_client_chain_is_verified():
    ca = tls.make_ca("kubernetes", now=NOW)
    roots = tls.load_bundle(ca.cert)
    pair = tls.issue(ca, "alice", organizations=("dev", "ops"), now=NOW, client=True)
    leaf = tls.verify_client([der(pair)], roots, now=NOW)
    assert tls.subject_of(leaf) == tls.Subject("alice", ("dev", "ops"))
    with pytest.raises(tls.BadCertificate, match="expired"):
        tls.verify_client([der(pair)], roots, now=NOW + 2 * tls.YEAR)
    other = tls.issue(tls.make_ca("kubernetes", now=NOW), "alice", now=NOW, client=True)
    with pytest.raises(tls.BadCertificate, match="unknown authority"):
        tls.verify_client([der(other)], roots, now=NOW)
    serving = tls.issue(ca, "server", now=NOW, server=True, hosts=("a.example",))
    with pytest.raises(tls.BadCertificate, match="incompatible key usage"):
        tls.verify_client([der(serving)], roots, now=NOW)


def test_private_files_are_for_their_owner_only(tmp_path):
    tls.write_private(tmp_path / "d" / "k", b"secret")
    assert stat.S_IMODE((tmp_path / "d" / "k").stat().st_mode) == 0o600
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["k"]
