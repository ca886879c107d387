"""The codes that every service uses: places, sectors, development goals, languages.

Codes are ISO 3166-2 for regions and provinces, HCP codes (strings, leading zeros kept) for
communes. `find_…` takes any usual spelling; the functions named after a kind take the exact code
and raise `UnknownCode`, which names the nearest valid one.
"""

from .folding import fold, place_key
from .lookup import (
    UnknownCode,
    find_province,
    find_region,
    find_sector,
    label,
    language,
    nearest,
    province,
    province_of_commune,
    provinces_of,
    region,
    region_of,
    sdg,
    sector,
)
from .records import (
    Kind,
    LabelLanguage,
    Language,
    Province,
    Record,
    Region,
    Sdg,
    Sector,
    languages,
    provinces,
    regions,
    sdgs,
    sectors,
    sources,
)

__all__ = [
    "Kind",
    "LabelLanguage",
    "Language",
    "Province",
    "Record",
    "Region",
    "Sdg",
    "Sector",
    "UnknownCode",
    "find_province",
    "find_region",
    "find_sector",
    "fold",
    "label",
    "language",
    "languages",
    "nearest",
    "place_key",
    "province",
    "province_of_commune",
    "provinces",
    "provinces_of",
    "region",
    "region_of",
    "regions",
    "sdg",
    "sdgs",
    "sector",
    "sectors",
    "sources",
]
