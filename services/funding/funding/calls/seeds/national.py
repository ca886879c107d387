"""Nationwide programmes: MOAZARA and the two prizes for cooperatives."""

from __future__ import annotations

from typing import Any

from .indh import DIRHAM

MINISTRY = "Ministère du Tourisme, de l'Artisanat et de l'Économie sociale et solidaire"
ODCO = "Office du développement de la coopération (ODCO)"

NATIONAL_CALLS: dict[str, dict[str, Any]] = {
    "moazara-2023": {
        "kind": "grant",
        "funder_slug": "ministere-artisanat-ess",
        "funder": MINISTRY,
        "programme": "MOAZARA",
        "edition": "2023",
        "title": {
            "fr": "MOAZARA : appui aux projets de l'économie sociale et solidaire",
            "ar": "مؤازرة: دعم مشاريع الاقتصاد الاجتماعي والتضامني",
        },
        "summary": {
            "fr": (
                "Jusqu'à 49 000 DH par projet. Les associations et leurs réseaux déposent depuis"
                " tout le pays et sont payés par le ministère ; les coopératives déposent dans les"
                " seules régions dont le conseil a signé, et sont payées par lui. Les demandes se"
                " font sur moazara.artisanat.gov.ma."
            ),
            "ar": (
                "دعم يصل إلى 49 000 درهم لكل مشروع. تقدم الجمعيات وشبكاتها طلباتها من جميع جهات"
                " المملكة وتمولها الوزارة، أما التعاونيات فتقدم طلباتها في الجهات التي وقع مجلسها"
                " على الشراكة فقط، ويمولها مجلس الجهة. وتودع الطلبات على الموقع"
                " moazara.artisanat.gov.ma."
            ),
        },
        "source": (
            "mapexpress.ma et lavieeco.com (Moazara), ar.le360.ma — Dépôt du 15 septembre au"
            " 13 octobre 2023. Hypothèses : les deux régions signataires, non nommées par les"
            " sources, sont ici Béni Mellal-Khénifra et Souss-Massa ; fin de journée, l'heure"
            " n'étant pas publiée."
        ),
        "deadline": {
            "at": "2023-10-13T23:59:00+01:00",
            "zone": "Africa/Casablanca",
            "shown": "13 octobre 2023",
        },
        "tracks": [
            {
                "name": {"fr": "Associations et réseaux", "ar": "الجمعيات وشبكاتها"},
                "criteria": {"applicant_types": ["association", "association_network"]},
                "max_grant_centimes": 49_000 * DIRHAM,
                "payer": MINISTRY,
            },
            {
                "name": {
                    "fr": "Coopératives des régions signataires",
                    "ar": "تعاونيات الجهات الموقعة على الشراكة",
                },
                "criteria": {
                    "regions": ["MA-05", "MA-09"],
                    "applicant_types": ["cooperative"],
                    "legal_statuses": ["registered"],
                },
                "max_grant_centimes": 49_000 * DIRHAM,
                "payer": "Conseil de la région signataire",
            },
        ],
    },
    "lalla-al-moutaaouina-2025": {
        "kind": "prize",
        "funder_slug": "odco",
        "funder": ODCO,
        "programme": "Prix national Lalla Al Moutaâouina",
        "edition": "2025",
        "title": {
            "fr": "Prix national Lalla Al Moutaâouina pour les coopératives de femmes",
            "ar": "الجائزة الوطنية «لالة المتعاونة» لفائدة التعاونيات النسائية",
        },
        "summary": {
            "fr": (
                "Appel à manifestation d'intérêt ouvert aux coopératives entièrement féminines de"
                " toutes les régions. Un comité d'experts retient les meilleurs projets ; chaque"
                " lauréate reçoit 50 000 DH, offerts par l'ODCO et ses partenaires."
            ),
            "ar": (
                "طلب إبداء الاهتمام موجه إلى التعاونيات المكونة من النساء فقط في جميع الجهات. تنتقي"
                " لجنة من الخبراء أفضل المشاريع، وتحصل كل تعاونية فائزة على 50 000 درهم يقدمها مكتب"
                " تنمية التعاون وشركاؤه."
            ),
        },
        "source": (
            "lavieeco.com (31 coopératives consacrées) et https://fr.allafrica.com/stories/"
            "202504160152 — Date limite non retrouvée : le prix est présenté ici sans échéance"
            " (hypothèse)."
        ),
        "deadline": None,
        "tracks": [
            {
                "name": {"fr": "Coopératives de femmes", "ar": "التعاونيات النسائية"},
                "criteria": {
                    "applicant_types": ["cooperative"],
                    "legal_statuses": ["registered"],
                    "min_share_women": {"percent": 100},
                },
                "max_grant_centimes": 50_000 * DIRHAM,
                "payer": "ODCO et partenaires du prix",
            }
        ],
    },
    "generation-solidaire-2025": {
        "kind": "prize",
        "funder_slug": "odco",
        "funder": ODCO,
        "programme": "Prix Génération solidaire",
        "edition": "2025",
        "title": {
            "fr": "Prix Génération solidaire pour les jeunes coopérateurs",
            "ar": "جائزة «الجيل المتضامن» لفائدة الشباب المتعاونين",
        },
        "summary": {
            "fr": (
                "Pour les coopératives de jeunes et les jeunes porteurs de projet, de 18 à 35 ans,"
                " de tout le pays. Chaque lauréat reçoit 50 000 DH."
            ),
            "ar": (
                "لفائدة تعاونيات الشباب والشباب حاملي المشاريع المتراوحة أعمارهم بين 18 و35 سنة في"
                " جميع أنحاء المملكة. ويحصل كل فائز على 50 000 درهم."
            ),
        },
        "source": (
            "fr.le360.ma (28 coopératives, 2025) et odco.gov.ma — Hypothèses : une coopérative de"
            " jeunes compte au moins 50 % de membres de 18 à 35 ans, le seuil n'étant pas publié ;"
            " date limite non retrouvée, le prix est présenté ici sans échéance."
        ),
        "deadline": None,
        "tracks": [
            {
                "name": {"fr": "Coopératives de jeunes", "ar": "تعاونيات الشباب"},
                "criteria": {
                    "applicant_types": ["cooperative"],
                    "legal_statuses": ["registered"],
                    "min_share_youth": {"percent": 50},
                },
                "max_grant_centimes": 50_000 * DIRHAM,
                "payer": "ODCO et partenaires du prix",
            },
            {
                "name": {"fr": "Jeunes porteurs de projet", "ar": "الشباب حاملو المشاريع"},
                "criteria": {
                    "applicant_types": ["project_holder"],
                    "min_share_youth": {"percent": 100},
                },
                "max_grant_centimes": 50_000 * DIRHAM,
                "payer": "ODCO et partenaires du prix",
            },
        ],
    },
}
