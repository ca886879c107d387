"""Keys and tokens that tests sign themselves."""

from __future__ import annotations

import time
import uuid
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey

from devkit.pytest_plugin import Tokens
from shared.kernel.auth.tokens import ALGORITHM


def a_key(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})


def public(*keys: OKPKey) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def signed(key: OKPKey, kid: str, **claims: Any) -> str:
    body = {
        "iss": Tokens.issuer,
        "aud": Tokens.audience,
        "sub": str(uuid.uuid4()),
        "exp": int(time.time()) + 3600,
        **claims,
    }
    return jwt.encode({"alg": ALGORITHM, "kid": kid}, body, key, [ALGORITHM])
