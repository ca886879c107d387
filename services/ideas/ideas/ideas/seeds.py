"""Ideas for a demonstration and for tests: bodies of `POST /ideas`, each with a stable key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Seed:
    """One idea. `payload` is the body of `POST /ideas`; its `seed_key` never changes."""

    seed_key: str
    payload: dict[str, Any]


def demo_ideas() -> tuple[Seed, ...]:
    """Invented ideas that resemble real ones; budgets and numbers of jobs are assumptions."""
    return (
        Seed("argan-traceable-souss", _ARGAN),
        Seed("plantes-aromatiques-atlas", _AROMATIC_PLANTS),
        Seed("tissage-femmes-midelt", _WEAVING),
        Seed("dechets-compost-oriental", _COMPOST),
    )


_ARGAN: dict[str, Any] = {
    "title": {
        "fr": "Huile d'argane traçable, du village à la bouteille",
        "ar": "زيت أركان قابل للتتبع من القرية إلى القنينة",
    },
    "summary": {
        "fr": (
            "Plusieurs coopératives de femmes partagent une presse, un laboratoire d'analyse et un"
            " registre des lots. Chaque bouteille porte un code : l'acheteur voit le village, la"
            " date de concassage et le prix payé aux concasseuses. Les tourteaux sont vendus aux"
            " éleveurs voisins."
        ),
        "ar": (
            "تتقاسم عدة تعاونيات نسائية معصرة ومختبرا للتحليل وسجلا للدفعات. تحمل كل قنينة رمزا"
            " يعرض للمشتري اسم القرية وتاريخ تكسير الثمار والثمن المؤدى للنساء العاملات."
            " وتباع بقايا العصر لمربي الماشية في الجوار."
        ),
    },
    "regions": ["MA-09"],
    "provinces": [],
    "sectors": ["ARGAN", "FOOD"],
    "budget_centimes": 48_000_000,
    "jobs": 22,
    "sdgs": [5, 8, 12, 15],
    "readiness": "with_business_plan",
    "origin": "model_project",
}

_AROMATIC_PLANTS: dict[str, Any] = {
    "title": {
        "fr": "Distillerie solaire de plantes aromatiques",
        "ar": "وحدة لتقطير النباتات العطرية بالطاقة الشمسية",
    },
    "summary": {
        "fr": (
            "Une distillerie chauffée au soleil pour le thym, le romarin et la lavande, cultivés"
            " plutôt que cueillis afin de laisser la montagne se reposer. Les jeunes du douar"
            " sont formés à la distillation et à la vente des huiles et des eaux florales."
        ),
        "ar": (
            "وحدة تقطير تسخن بأشعة الشمس لإنتاج زيوت الزعتر وإكليل الجبل والخزامى، من نباتات"
            " مزروعة بدل القطف العشوائي حتى يستريح الجبل. ويتلقى شباب الدوار تكوينا في التقطير"
            " وفي تسويق الزيوت ومياه الأزهار."
        ),
    },
    "regions": [],
    "provinces": ["MA-AZI", "MA-BEM", "MA-HAO"],
    "sectors": ["AROMATIC_MEDICINAL_PLANTS", "AGRICULTURE"],
    "budget_centimes": 35_000_000,
    "jobs": 12,
    "sdgs": [7, 8, 15],
    "readiness": "structured",
    "origin": "territorial_need",
}

_WEAVING: dict[str, Any] = {
    "title": {
        "fr": "Atelier de tissage des femmes et vente en ligne",
        "ar": "ورشة نسائية للنسيج والبيع عبر الإنترنت",
    },
    "summary": {
        "fr": (
            "Les tisserandes achètent la laine ensemble, la teignent avec des plantes locales et"
            " vendent leurs tapis sans intermédiaire. Une garderie jouxte l'atelier ; chaque tapis"
            " est accompagné d'un message vocal de celle qui l'a noué."
        ),
        "ar": (
            "تشتري النساجات الصوف جماعة ويصبغنه بنباتات محلية ويبعن الزرابي دون وسيط."
            " توجد حضانة للأطفال بجوار الورشة، وترافق كل زربية رسالة صوتية من المرأة"
            " التي نسجتها."
        ),
    },
    "regions": [],
    "provinces": ["MA-MID"],
    "sectors": ["CRAFTS", "ECOMMERCE"],
    "budget_centimes": 18_500_000,
    "jobs": 16,
    "sdgs": [5, 8, 10],
    "readiness": "structured",
    "origin": "submitted",
}

_COMPOST: dict[str, Any] = {
    "title": {
        "fr": "Compost des marchés et des hôtels",
        "ar": "سماد عضوي من نفايات الأسواق والفنادق",
    },
    "summary": {
        "fr": (
            "Une coopérative de jeunes collecte les déchets verts des marchés et des hôtels avec"
            " des triporteurs électriques et en fait du compost pour les maraîchers de la plaine."
        ),
        "ar": (
            "تجمع تعاونية للشباب النفايات الخضراء من الأسواق والفنادق بدراجات كهربائية ثلاثية"
            " العجلات، وتحولها إلى سماد عضوي لفائدة مزارعي الخضر في السهل."
        ),
    },
    "regions": ["MA-02"],
    "provinces": [],
    "sectors": ["WASTE"],
    "budget_centimes": 27_000_000,
    "jobs": 9,
    "sdgs": [8, 11, 12, 13],
    "readiness": "raw",
    "origin": "submitted",
}
