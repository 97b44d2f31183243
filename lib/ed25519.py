"""Ed25519 signatures (RFC 8032), verified in small steps so that others can work in between.

    for fits in verifying(public, message, signature):
        ...                 # None: not known yet; True or False: the last one

Only verification, of what is public: nothing here needs to take the same time always. Messages are
short, here the digest of a header. hashlib of MicroPython has no SHA-512, so it is here as well.
"""

_P = 2 ** 255 - 19
_L = 2 ** 252 + 27742317777372353535851937790883648493
_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555
_D2 = 2 * _D % _P
_ROOT = 19681161376707505956807079304988542015446066515923890162744021073123829784752   # of -1
_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202      # base
_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960
_AT_ONCE = 4                # products in a row without a pause, roughly


def _little(data):
    return int.from_bytes(data, "little")


# -- SHA-512 ---------------------------------------------------------------------------------

_WORD = (1 << 64) - 1
# of the first primes: 64 bits behind the point of the square roots, then of the cube roots
_START = (
    "6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1510e527fade682d1"
    "9b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179")
_ROUNDS = (
    "428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b538"
    "59f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe"
    "243185be4ee4b28c550c7dc3d5ffb4e272be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235"
    "c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65"
    "2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5983e5152ee66dfab"
    "a831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa725"
    "06ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed"
    "53380d139d95b3df650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b"
    "a2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218"
    "d69906245565a910f40e35855771202a106aa07032bbd1b819a4c116b8d2d0c81e376c085141ab53"
    "2748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373"
    "682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
    "90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619c"
    "d186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6"
    "113f9804bef90dae1b710b35131c471b28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc"
    "431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817")


def _number(text, i):
    return int(text[16 * i:16 * i + 16], 16)


def _turn(x, n):
    return (x >> n | x << 64 - n) & _WORD


def sha512(data):
    """SHA-512 of *data* in small steps: None again and again, then the digest is returned."""
    state = [_number(_START, i) for i in range(8)]
    padded = bytes(data) + b"\x80" + bytes(-(len(data) + 17) % 128)
    padded += (8 * len(data)).to_bytes(16, "big")
    for start in range(0, len(padded), 128):
        words = [int.from_bytes(padded[at:at + 8], "big") for at in range(start, start + 128, 8)]
        a, b, c, d, e, f, g, h = state
        for i in range(80):
            if i >= 16:
                w, v = words[1], words[14]
                new = (words[0] + (_turn(w, 1) ^ _turn(w, 8) ^ w >> 7) + words[9]
                       + (_turn(v, 19) ^ _turn(v, 61) ^ v >> 6)) & _WORD
                words.pop(0)
                words.append(new)
                word = new
            else:
                word = words[i]
            one = (h + (_turn(e, 14) ^ _turn(e, 18) ^ _turn(e, 41)) + (e & f ^ ~e & g)
                   + _number(_ROUNDS, i) + word)
            two = (_turn(a, 28) ^ _turn(a, 34) ^ _turn(a, 39)) + (a & b ^ a & c ^ b & c)
            h, g, f, e, d, c, b, a = g, f, e, (d + one) & _WORD, c, b, a, (one + two) & _WORD
            yield None
        state = [(x + y) & _WORD for x, y in zip(state, (a, b, c, d, e, f, g, h))]
    return b"".join([x.to_bytes(8, "big") for x in state])


# -- the curve -------------------------------------------------------------------------------


def _power(x, n):
    """x ** n mod p in small steps: None again and again, then the result is returned."""
    result = 1
    for i in range(254, -1, -1):
        result = result * result % _P
        if n >> i & 1:
            result = result * x % _P
        if i % _AT_ONCE == 0 and i:
            yield None
    return result


def _add(p, q):
    """Sum of two points (X, Y, Z, T): x = X / Z, y = Y / Z, T = x * y * Z."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = p[3] * _D2 * q[3] % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(p):
    x, y, z, _ = p
    a, b = x * x % _P, y * y % _P
    c = 2 * z * z
    h = a + b
    e = h - (x + y) * (x + y)
    g = a - b
    f = (c + g) % _P
    e %= _P
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def verifying(public, message, signature):
    """Whether *signature* (64 bytes) of *message* was made with the key that belongs to *public*
    (32 bytes): None again and again, then True or False."""
    s = _little(signature[32:])
    y = _little(public) & (1 << 255) - 1
    if len(public) != 32 or len(signature) != 64 or s >= _L or y >= _P:
        yield False
        return
    # x of the key's point: root of u / v
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    root = yield from _power(u * v ** 7 % _P, (_P - 5) // 8)
    x = u * v ** 3 * root % _P
    square = v * x * x % _P
    if square == _P - u:
        x = x * _ROOT % _P
    elif square != u:
        yield False
        return
    if x == 0 and public[31] >> 7:
        yield False
        return
    if x & 1 == public[31] >> 7:
        x = _P - x                      # the negative of the key's point
    digest = yield from sha512(signature[:32] + public + message)
    k = _little(digest) % _L
    # [s] base - [k] key has to be the point R that the signature begins with
    minus = (x, y, 1, x * y % _P)
    base = (_X, _Y, 1, _X * _Y % _P)
    both = _add(base, minus)
    point = (0, 1, 1, 0)
    for i in range(252, -1, -1):
        point = _double(point)
        which = (s >> i & 1) | (k >> i & 1) << 1
        if which:
            point = _add(point, (base, minus, both)[which - 1])
        yield None
    root = yield from _power(point[2], _P - 2)
    x, y = point[0] * root % _P, point[1] * root % _P
    yield (y | (x & 1) << 255).to_bytes(32, "little") == bytes(signature[:32])
