"""The task types about sales, crises, competitors' complaints, launches and replies, built from the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .handlers import Registry, TaskType
from .handlers.analyze_competitor_gap import AnalyzeCompetitorGap
from .handlers.analyze_crisis import AnalyzeCrisis
from .handlers.analyze_lead_intent import AnalyzeLeadIntent
from .handlers.detect_launch import DetectLaunch
from .handlers.suggest_response import SuggestResponse
from .services.advisor import Advisor
from .services.commercial import CommercialService
from .services.competitor_gap import CompetitorGaps
from .services.crisis_assessment import CrisisAssessments
from .services.launches import LaunchScout, LaunchService
from .services.trade_store import TradeStore

if TYPE_CHECKING:
    from .trades import Parts


def commercial_types(parts: Parts) -> Registry:
    """By name."""
    settings, clock, local = parts.settings, parts.clock, parts.local
    advisor, store = Advisor.build(parts.llm, settings), TradeStore(parts.storage)
    chars = settings.mention_max_chars
    leads = AnalyzeLeadIntent(CommercialService(advisor, local, parts.storage, clock=clock), max_chars=chars)
    crisis = AnalyzeCrisis(
        CrisisAssessments(advisor, local, store, parts.redis, parts.cpu, clock=clock), parts.cpu, max_chars=chars
    )
    gap = AnalyzeCompetitorGap(
        CompetitorGaps(advisor, local, store, parts.cpu, clock=clock), parts.cpu, max_chars=chars
    )
    launch = DetectLaunch(LaunchService(advisor, store, parts.cpu, clock=clock), max_chars=chars)
    reply = SuggestResponse(parts.suggester)
    return {
        "analyze_lead_intent": TaskType(leads.handle, leads.check),
        "analyze_crisis": TaskType(crisis.handle, crisis.check),
        "analyze_competitor_gap": TaskType(gap.handle, gap.check),
        "detect_launch": TaskType(launch.handle, launch.check),
        "suggest_response": TaskType(reply.handle, reply.check),
    }


def launch_scout(parts: Parts) -> LaunchScout:
    """Looks for launches among the mentions of chunks, where there is a model to ask about them."""
    advisor = Advisor.build(parts.llm, parts.settings)
    return LaunchScout(parts.redis, parts.cpu, available=lambda: advisor.available, clock=parts.clock)
