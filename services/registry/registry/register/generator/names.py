"""Names of made-up cooperatives in French and Arabic, combined from Moroccan words."""

FIRST = (
    ("Zitoun", "زيتون"), ("Tizi", "تيزي"), ("Afra", "أفرا"), ("Tafoukt", "تافوكت"),
    ("Assif", "أسيف"), ("Tamounte", "تامونت"), ("Tiwizi", "تيويزي"), ("Azemmour", "أزمور"),
    ("Nakhil", "النخيل"), ("Amal", "الأمل"), ("Baraka", "البركة"), ("Ennour", "النور"),
    ("Najah", "النجاح"), ("Ittihad", "الاتحاد"), ("Wifak", "الوفاق"), ("Salam", "السلام"),
    ("Rahma", "الرحمة"), ("Fath", "الفتح"), ("Wahda", "الوحدة"), ("Kheir", "الخير"),
    ("Tadamoune", "التضامن"), ("Taawoun", "التعاون"), ("Tanmia", "التنمية"), ("Azrou", "أزرو"),
    ("Anzar", "أنزار"), ("Tigmi", "تيكمي"), ("Toudert", "تودرت"), ("Izouran", "إزوران"),
    ("Ayour", "أيور"), ("Itri", "إتري"), ("Tilila", "تيليلا"), ("Aghbalou", "أغبالو"),
    ("Oued", "الواد"), ("Jbel", "الجبل"), ("Sahel", "الساحل"), ("Rif", "الريف"),
    ("Atlas", "الأطلس"), ("Sahra", "الصحراء"), ("Oulja", "الولجة"), ("Zahra", "الزهراء"),
    ("Yasmine", "الياسمين"), ("Zaatar", "الزعتر"), ("Romane", "الرمان"), ("Louz", "اللوز"),
)  # fmt: skip
SECOND = (
    ("Argan", "أركان"), ("Amlou", "أملو"), ("Tamazirte", "تمازيرت"), ("Ougadir", "أوكادير"),
    ("Lakhdar", "الأخضر"), ("Jadida", "الجديدة"), ("Kobra", "الكبرى"), ("Ifoulki", "إفولكي"),
    ("Tifaouine", "تيفاوين"), ("Imlil", "إمليل"), ("Agdal", "أكدال"), ("Targa", "تاركا"),
    ("Tassaout", "تساوت"), ("Ziz", "زيز"), ("Draa", "درعة"), ("Souss", "سوس"),
    ("Gharb", "الغرب"), ("Haouz", "الحوز"), ("Chaouia", "الشاوية"), ("Doukkala", "دكالة"),
    ("Moulouya", "ملوية"), ("Sebou", "سبو"), ("Oum Rabia", "أم الربيع"), ("Tensift", "تانسيفت"),
    ("Massa", "ماسة"), ("Assaka", "أساكا"), ("Tafraout", "تافراوت"), ("Imouzzer", "إيموزار"),
    ("Ait Ourir", "آيت أورير"), ("Sidi Yahya", "سيدي يحيى"), ("Ain Louh", "عين اللوح"),
    ("Bab Jbel", "باب الجبل"), ("Dar Tissage", "دار النسيج"), ("Oulad Bled", "أولاد البلاد"),
    ("Tiznirin", "تيزنيرين"), ("Zagmouzen", "زاكموزن"), ("Igrane", "إكران"), ("Talat", "تالات"),
)  # fmt: skip
ACTIVITIES = {
    "AGRICULTURE": ("agricole", "الفلاحية"),
    "CRAFTS": ("artisanale", "الحرفية"),
    "HOUSING": ("d'habitat", "السكنية"),
    "FOOD": ("de produits du terroir", "للمنتجات المجالية"),
    "ARGAN": ("d'huile d'argane", "لزيت أركان"),
    "AROMATIC_MEDICINAL_PLANTS": ("de plantes aromatiques", "للنباتات العطرية"),
    "FORESTRY": ("forestière", "الغابوية"),
    "FISHERIES": ("de pêche", "للصيد البحري"),
    "TRANSPORT": ("de transport", "للنقل"),
    "TOURISM": ("de tourisme rural", "للسياحة القروية"),
}
ANY_ACTIVITY = ("de services", "للخدمات")


def french_name(word: int, sector: str) -> str:
    """A French name: `word` selects two words, the sector tells the activity."""
    first, second = _words(word)
    return f"Coopérative {ACTIVITIES.get(sector, ANY_ACTIVITY)[0]} {first[0]} {second[0]}"


def arabic_name(word: int, sector: str) -> str:
    """The Arabic name with the same words as the French one."""
    first, second = _words(word)
    return f"تعاونية {first[1]} {second[1]} {ACTIVITIES.get(sector, ANY_ACTIVITY)[1]}"


def _words(word: int) -> tuple[tuple[str, str], tuple[str, str]]:
    return FIRST[word % len(FIRST)], SECOND[word // len(FIRST) % len(SECOND)]
