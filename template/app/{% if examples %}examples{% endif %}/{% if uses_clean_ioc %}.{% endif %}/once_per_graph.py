"""`once_per_graph`, Clean IoC's default lifespan: one object for all that one parameter needs.

Under `scoped` it would be one for the request, under `transient` one for each constructor.
"""

from fastapi import APIRouter

from app.examples.dependencies import ReportDep

router = APIRouter()


@router.get("/once-per-graph")
async def once_per_graph(report_a: ReportDep, report_b: ReportDep) -> dict[str, bool]:
    return {
        "same_within_a_graph": report_a.draft is report_a.summary.draft,
        "same_in_another_graph": report_a.draft is report_b.draft,
    }
