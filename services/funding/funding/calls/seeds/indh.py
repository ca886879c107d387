"""Calls of the national human development initiative (INDH), as its prefectures published them."""

from __future__ import annotations

from typing import Any

DIRHAM = 100
"""Centimes in a dirham."""

INCOME = "INDH phase III : amélioration du revenu et inclusion économique des jeunes"
WOMEN_AND_YOUTH = {"percent": 30, "strict": True}
SERVICES = ["HOME_SERVICES", "TRANSPORT", "CONSULTING", "COMMUNICATION", "ECOMMERCE"]

_COOPERATIVES = {"fr": "Coopératives", "ar": "التعاونيات"}

INDH_CALLS: dict[str, dict[str, Any]] = {
    "indh-agadir-2022": {
        "kind": "grant",
        "funder_slug": "indh-agadir",
        "funder": "INDH, préfecture d'Agadir-Ida-Ou-Tanane",
        "programme": INCOME,
        "edition": "2022",
        "title": {
            "fr": "Appel à projets INDH pour les coopératives d'Agadir-Ida-Ou-Tanane",
            "ar": "طلب مشاريع المبادرة الوطنية للتنمية البشرية لفائدة تعاونيات أكادير-إدا وتنان",
        },
        "summary": {
            "fr": (
                "Pour les coopératives de la préfecture dont les femmes et les jeunes, comptés"
                " ensemble, dépassent 30 % des membres. La demande se remplit en ligne sur le site"
                " de l'INDH de la préfecture ; un dossier incomplet est écarté d'office. Une"
                " convention fixe ensuite les engagements et les résultats attendus."
            ),
            "ar": (
                "لفائدة تعاونيات العمالة التي تتجاوز فيها نسبة النساء والشباب معا 30 في المائة من"
                " الأعضاء. يعبأ الطلب عبر الإنترنت على موقع المبادرة الخاص بالعمالة، ويستبعد"
                " تلقائيا كل ملف غير مكتمل. ثم تحدد اتفاقية الالتزامات والنتائج المنتظرة."
            ),
        },
        "source": "MAP Express (mapexpress.ma), Agadir, 2 août 2022. Plafond et taux non publiés.",
        "deadline": {"local": "2022-09-02T16:00", "zone": "Africa/Casablanca"},
        "tracks": [
            {
                "name": _COOPERATIVES,
                "criteria": {
                    "provinces": ["MA-AGD"],
                    "applicant_types": ["cooperative"],
                    "legal_statuses": ["registered"],
                    "min_share_women_plus_youth": WOMEN_AND_YOUTH,
                },
                "payer": "INDH, comité préfectoral d'Agadir-Ida-Ou-Tanane",
            }
        ],
    },
    "indh-agadir-2023": {
        "kind": "grant",
        "funder_slug": "indh-agadir",
        "funder": "INDH, préfecture d'Agadir-Ida-Ou-Tanane",
        "programme": INCOME,
        "edition": "2023",
        "title": {
            "fr": "Appel à projets INDH : coopératives, GIE et TPME d'Agadir-Ida-Ou-Tanane",
            "ar": (
                "طلب مشاريع المبادرة الوطنية للتنمية البشرية: تعاونيات ومجموعات ذات نفع اقتصادي"
                " ومقاولات صغرى بأكادير-إدا وتنان"
            ),
        },
        "summary": {
            "fr": (
                "Investissements dans l'agriculture, l'artisanat, les services, le tourisme et les"
                " chaînes de valeur locales. L'INDH apporte au plus 60 % du capital investi, dans"
                " la limite de 300 000 DH. L'apport du porteur est en numéraire ou en nature, la"
                " nature ne dépassant pas la moitié de l'apport."
            ),
            "ar": (
                "استثمارات في الفلاحة والصناعة التقليدية والخدمات والسياحة وسلاسل القيمة المحلية."
                " تساهم المبادرة بما لا يتعدى 60 في المائة من رأس المال المستثمر وفي حدود 300 000"
                " درهم. وتكون مساهمة حامل المشروع نقدية أو عينية، على ألا يتجاوز الجزء العيني نصف"
                " هذه المساهمة."
            ),
        },
        "source": (
            "https://fr.allafrica.com/stories/202308160744 — Hypothèses : codes retenus pour « les"
            " services » et « les chaînes de valeur locales » (argan, plantes, pêche, denrées) ;"
            " fin de journée, l'heure n'étant pas publiée."
        ),
        "deadline": {
            "at": "2023-09-01T23:59:00+01:00",
            "zone": "Africa/Casablanca",
            "shown": "1er septembre 2023",
        },
        "tracks": [
            {
                "name": {
                    "fr": "Coopératives, GIE et TPME",
                    "ar": "التعاونيات والمجموعات ذات النفع الاقتصادي والمقاولات الصغرى",
                },
                "criteria": {
                    "provinces": ["MA-AGD"],
                    "applicant_types": ["cooperative", "gie", "tpme"],
                    "sectors": [
                        "AGRICULTURE",
                        "CRAFTS",
                        "TOURISM",
                        *SERVICES,
                        "ARGAN",
                        "AROMATIC_MEDICINAL_PLANTS",
                        "FISHERIES",
                        "FOOD",
                    ],
                    "legal_statuses": ["registered"],
                },
                "max_grant_centimes": 300_000 * DIRHAM,
                "max_rate_percent": 60,
                "min_own_share_percent": 40,
                "max_in_kind_percent_of_own_share": 50,
                "payer": "INDH, comité préfectoral d'Agadir-Ida-Ou-Tanane",
            }
        ],
    },
    "indh-al-hoceima-2022": {
        "kind": "grant",
        "funder_slug": "indh-al-hoceima",
        "funder": "INDH, province d'Al Hoceima",
        "programme": INCOME,
        "edition": "2022",
        "title": {
            "fr": "Appel à projets INDH de la province d'Al Hoceima",
            "ar": "طلب مشاريع المبادرة الوطنية للتنمية البشرية بإقليم الحسيمة",
        },
        "summary": {
            "fr": (
                "Quatre voies : coopératives régies par la loi 112-12 dont les femmes et les jeunes"
                " dépassent 30 % des membres ; entreprises créées depuis douze mois au plus ;"
                " auto-entrepreneurs inscrits depuis douze mois au plus ; porteurs de projet de 18"
                " à 35 ans. L'INDH finance 60 % jusqu'à 300 000 DH, le porteur 40 %. Le formulaire"
                " s'imprime depuis le portail."
            ),
            "ar": (
                "أربع فئات: تعاونيات خاضعة للقانون 112.12 تتجاوز فيها نسبة النساء والشباب 30 في"
                " المائة من الأعضاء؛ مقاولات لم يمض على إحداثها أكثر من اثني عشر شهرا؛ مقاولون"
                " ذاتيون مسجلون منذ اثني عشر شهرا على الأكثر؛ حاملو مشاريع تتراوح أعمارهم بين 18"
                " و35 سنة. تمول المبادرة 60 في المائة في حدود 300 000 درهم ويساهم حامل المشروع"
                " بنسبة 40 في المائة. وتطبع الاستمارة من البوابة."
            ),
        },
        "source": (
            "https://fr.allafrica.com/stories/202209010457 — La date limite et les secteurs ne sont"
            " pas repris par cette source : l'appel est présenté ici sans échéance (hypothèse)."
        ),
        "deadline": None,
        "tracks": [
            {
                "name": _COOPERATIVES,
                "criteria": {
                    "provinces": ["MA-HOC"],
                    "applicant_types": ["cooperative"],
                    "legal_statuses": ["registered"],
                    "min_share_women_plus_youth": WOMEN_AND_YOUTH,
                },
                "max_grant_centimes": 300_000 * DIRHAM,
                "max_rate_percent": 60,
                "min_own_share_percent": 40,
                "payer": "INDH, comité provincial d'Al Hoceima",
            },
            {
                "name": {"fr": "Entreprises récentes", "ar": "المقاولات حديثة الإحداث"},
                "criteria": {
                    "provinces": ["MA-HOC"],
                    "applicant_types": ["tpme"],
                    "max_age_months": 12,
                },
                "max_grant_centimes": 300_000 * DIRHAM,
                "max_rate_percent": 60,
                "min_own_share_percent": 40,
                "payer": "INDH, comité provincial d'Al Hoceima",
            },
            {
                "name": {"fr": "Auto-entrepreneurs récents", "ar": "المقاولون الذاتيون الجدد"},
                "criteria": {
                    "provinces": ["MA-HOC"],
                    "applicant_types": ["self_employed"],
                    "max_age_months": 12,
                },
                "max_grant_centimes": 300_000 * DIRHAM,
                "max_rate_percent": 60,
                "min_own_share_percent": 40,
                "payer": "INDH, comité provincial d'Al Hoceima",
            },
            {
                "name": {"fr": "Jeunes porteurs de projet", "ar": "الشباب حاملو المشاريع"},
                "criteria": {
                    "provinces": ["MA-HOC"],
                    "applicant_types": ["project_holder"],
                    "min_share_youth": {"percent": 100},
                },
                "max_grant_centimes": 300_000 * DIRHAM,
                "max_rate_percent": 60,
                "min_own_share_percent": 40,
                "payer": "INDH, comité provincial d'Al Hoceima",
            },
        ],
    },
    "indh-tiznit": {
        "kind": "grant",
        "funder_slug": "indh-tiznit",
        "funder": "INDH, province de Tiznit",
        "programme": INCOME,
        "edition": "permanente",
        "title": {
            "fr": "Appui INDH aux projets d'économie sociale de Tiznit",
            "ar": "دعم المبادرة الوطنية للتنمية البشرية لمشاريع الاقتصاد الاجتماعي بتيزنيت",
        },
        "summary": {
            "fr": (
                "Guichet permanent de la plateforme des jeunes de Tiznit. Jusqu'à 60 % du coût,"
                " avec un plafond selon le demandeur : 300 000 DH pour les coopératives et leurs"
                " unions,"
                " 100 000 DH pour les GIE et les TPME. Les auto-entrepreneurs peuvent déposer un"
                " dossier."
            ),
            "ar": (
                "شباك دائم بمنصة الشباب بتيزنيت. يصل الدعم إلى 60 في المائة من الكلفة بسقف يختلف"
                " حسب صاحب الطلب: 300 000 درهم للتعاونيات واتحاداتها، و100 000 درهم للمجموعات ذات"
                " النفع الاقتصادي والمقاولات الصغرى. ويمكن للمقاولين الذاتيين إيداع ملفاتهم."
            ),
        },
        "source": (
            "https://pj-indh-tiznit.com/economie-sociale — Le plafond des auto-entrepreneurs"
            " n'y est pas indiqué."
        ),
        "deadline": None,
        "tracks": [
            {
                "name": {"fr": "Coopératives et unions", "ar": "التعاونيات واتحاداتها"},
                "criteria": {
                    "provinces": ["MA-TIZ"],
                    "applicant_types": ["cooperative", "cooperative_union"],
                    "legal_statuses": ["registered"],
                },
                "max_grant_centimes": 300_000 * DIRHAM,
                "max_rate_percent": 60,
                "payer": "INDH, comité provincial de Tiznit",
            },
            {
                "name": {
                    "fr": "GIE et TPME",
                    "ar": "المجموعات ذات النفع الاقتصادي والمقاولات الصغرى",
                },
                "criteria": {"provinces": ["MA-TIZ"], "applicant_types": ["gie", "tpme"]},
                "max_grant_centimes": 100_000 * DIRHAM,
                "max_rate_percent": 60,
                "payer": "INDH, comité provincial de Tiznit",
            },
            {
                "name": {"fr": "Auto-entrepreneurs", "ar": "المقاولون الذاتيون"},
                "criteria": {"provinces": ["MA-TIZ"], "applicant_types": ["self_employed"]},
                "max_rate_percent": 60,
                "payer": "INDH, comité provincial de Tiznit",
            },
        ],
    },
}
