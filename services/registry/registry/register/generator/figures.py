"""The numbers that the drawn register follows: published ones first, assumptions after."""

from datetime import date

# --- Published -----------------------------------------------------------------------------------

COOPERATIVES = 65_315
MEMBERS = 788_969
WOMEN = 272_583
YOUTH = 18_036
WOMEN_ONLY = 7_891
YOUTH_COOPERATIVES = 1_500
DORMANT_SHARE = 0.15
MIN_MEMBERS = 5

SECTOR_SHARES = {"AGRICULTURE": 0.645, "CRAFTS": 0.18, "HOUSING": 0.04}
WOMEN_ONLY_SECTOR_SHARES = {"AGRICULTURE": 0.39, "CRAFTS": 0.36, "ARGAN": 0.17}

ALIVE_AT = (
    (date(2019, 12, 31), 27_262),
    (date(2021, 3, 31), 40_531),
    (date(2025, 3, 18), 60_000),
    (date(2025, 11, 30), COOPERATIVES),
)
"""Cooperatives alive at a date. So many of the drawn ones were created by then; none closes."""

AGRICULTURE_BRANCHES = {
    "DAIRY": 34,
    "LIVESTOCK": 20,
    "SUPPLY": 13,
    "BEEKEEPING": 11,
    "SHARED_MACHINERY": 6,
    "MARKET_GARDENING": 4,
    "OTHER_AGRICULTURE": 12,
}
"""In percent, from the yearbook of 2004 (aujourdhui.ma); its thirty branches are not all named."""

# Provinces weigh by their population in the census of 2024, which the reference data holds.

# --- Assumptions ---------------------------------------------------------------------------------

PREFECTURE_WEIGHT = 0.5
"""Cooperatives are rural more often than people are: a prefecture counts half its population."""

ARGAN_PROVINCES = ("MA-AGD", "MA-CHT", "MA-TAR", "MA-TIZ", "MA-INE", "MA-ESI", "MA-SIF", "MA-CHI")
"""Where the argan tree is taken to grow: the Souss and its neighbours; no argan elsewhere."""

COASTAL_PROVINCES = (
    "MA-HOC", "MA-CHE", "MA-FAH", "MA-LAR", "MA-TNG", "MA-TET", "MA-MDF", "MA-BER", "MA-DRI",
    "MA-NAD", "MA-KEN", "MA-RAB", "MA-SAL", "MA-SKH", "MA-CAS", "MA-MOH", "MA-BES", "MA-JDI",
    "MA-SIB", "MA-SAF", "MA-ESI", "MA-AGD", "MA-CHT", "MA-INE", "MA-TIZ", "MA-SIF", "MA-GUE",
    "MA-TNT", "MA-TAF", "MA-LAA", "MA-BOD", "MA-OUD", "MA-AOU",
)  # fmt: skip
"""Fishing cooperatives are drawn only here."""

WOMEN_ONLY_MEMBERS = 73_250
"""The source says more than 73,000."""

OTHER_SECTOR_WEIGHTS = {
    "ARGAN": 22, "FOOD": 17, "AROMATIC_MEDICINAL_PLANTS": 9, "FISHERIES": 7, "FORESTRY": 5,
    "TRANSPORT": 6, "TOURISM": 5, "RETAIL": 4, "LITERACY_TRAINING": 5, "HOME_SERVICES": 4,
    "WASTE": 3, "COMMUNICATION": 2, "CONSULTING": 2, "ARTS_CULTURE": 2, "LABOUR": 2,
    "CONSUMER": 1, "QUARRYING": 1, "MINING": 1, "ECOMMERCE": 1, "PRINTING": 1,
}  # fmt: skip
WOMEN_ONLY_OTHER_WEIGHTS = {
    "FOOD": 60, "AROMATIC_MEDICINAL_PLANTS": 20, "LITERACY_TRAINING": 8, "TOURISM": 6,
    "HOME_SERVICES": 6,
}  # fmt: skip
CRAFTS_BRANCHES = {
    "CARPETS_AND_TEXTILES": 30, "SEWING": 22, "EMBROIDERY": 18, "JOINERY": 12, "POTTERY": 10,
    "LEATHER": 8,
}  # fmt: skip
SINGLE_BRANCHES = {"ARGAN": "ARGAN_OIL", "FOOD": "LOCAL_PRODUCTS"}

BEFORE_2020 = ((date(1962, 1, 1), 0), (date(2014, 12, 31), 12_000))
"""How the 27,262 of 2019 were spread over the time before: most came after the law of 2014."""

UNKNOWN_SHARES = {
    "members_total": 0.005,
    "members_women": 0.02,
    "members_youth": 0.12,
    "members_women_or_youth": 0.25,
    "creation_date": 0.04,
    "commune": 0.10,
    "branch": 0.15,
    "activity": 0.06,
    "ice": 0.12,
    "phone": 0.07,
    "email": 0.65,
    "name_ar": 0.05,
}
"""Share of cooperatives whose cell is empty. Without a total, other counts of members are too."""

YOUTH_ANYWHERE_SHARE = 0.10
"""Share of cooperatives with any young member, among those that are no youth cooperatives."""

NO_WOMEN_SHARE = 0.35
"""Share of cooperatives without any woman, among those that are not women-only."""

UNION_SHARE = 0.003
ARABIC_SHARE = 0.7
LEGAL_STATUS_SHARES = {
    "registered": 0.978,
    "in_liquidation": 0.012,
    "dissolved": 0.004,
    "struck_off": 0.006,
}
