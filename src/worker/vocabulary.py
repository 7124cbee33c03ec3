"""The words the rules know, as data: gatekeeper flags, crisis words, topics, complaints, emotions, lead score.

Source: contract 3.5 to 3.9 and 3.17. Written in the notation of `phrases.py`. Phrases are matched against whole words
after contractions were opened ("don't" is `do not`), so apostrophes do not occur. The vocabularies of intents are in
`intent_vocabulary.py`, `report_vocabulary.py` and `context_vocabulary.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Word classes: the name, then the words. Classes do not nest.
CLASSES: Final = """
pause ,|.|!
be is|are|am|was|were|be|been|being
brand \ue000
rival \ue001|@
not not|never
warm great|awesome|lovely|wonderful|fantastic|perfect|brilliant|nice|excellent|amazing|cool|yay|classy|super|superb
fails delayed|late|cancelled|canceled|crashed|crashing|down|broken|broke|failed|failing|lost|stuck|stranded|missed
    |ruined|damaged|worse|frozen|freezing|freezes|screwed|messed|gone|wrong
cancel cancel/ing/ling/ed/led|cancellation
switch switch/ing/ed|porting|defecting
use use|using|fly|flying|buy|buying|order|ordering|shop|shopping|book|booking|stay|staying|return|returning|purchase
    |purchasing|trust|trusting|travel|travelling|traveling|spend|spending|pay|paying|deal|dealing|renew|renewing|play
    |playing|download|downloading|install|installing|ride|riding|eat|eating|choose|choosing
buy buy|purchase|order|preorder|subscribe
praise great|awesome|amazing|excellent|fantastic|perfect|wonderful|brilliant|superb|outstanding|incredible|fabulous
    |lovely|phenomenal|terrific|stellar|flawless|exceptional|marvelous|beautiful|fabulous|splendid
nice nice|great|good|awesome|cool|helpful|useful|perfect|amazing|better|best|nicer|ideal|beneficial|fantastic
    |excellent|lovely|handy|wonderful|convenient|easier|neat|sweet|brilliant|super|wise|interesting|valuable|fun|ok
    |fine
terrible terrible|awful|horrible|horrendous|horrific|bad|poor|worst|pathetic|lousy|crap|crappy|shit|shitty|dreadful
    |atrocious|abysmal|appalling|disgusting|shocking|subpar|garbage|trash|rubbish|incompetent|inept|disgraceful
    |deplorable|worse
service service|services|support|experience|customer|communication|communications|management|care|helpdesk|staff|cs
    |treatment
stuff app|apps|site|website|page|game|update|version|product|software|system|device|phone|feature|screen|button
    |program|tool|server|servers|connection|wifi|internet|network|link|links|login|account|video|videos|audio|sound
    |camera|machine|item|player|service|signal|keyboard|notification|notifications|widget|browser|map|gps|search|sync
    |payment|card|code|form|portal|line|engine
company company|airline|airlines|carrier|carriers|provider|providers|bank|banks|store|brand|network|app|apps|service
    |services|companies|isp|operator|platform|vendor|supplier|game|product|place|restaurant|hotel|site|website
trip flight|flights|flt|seat|seats|plane|planes|bag|bags|gate|gates|reservation|booking|ticket|tickets|trip|itinerary
    |order|orders|room|appointment|reservations|meeting|delivery|connection|date|dates|time|times|row|aisle|window|leg
    |route
goods luggage|bag|bags|baggage|suitcase|suitcases|order|orders|package|packages|parcel|parcels|delivery|item
    |items|shipment|card|stuff|reservation|booking|account|data|money|photos|pictures|progress
    |files|password|points
hours hour|hours|hr|hrs|minute|minutes|min|mins|day|days|week|weeks|month|months|year|years|night|nights|ages|forever
add add|allow|enable|provide|include|implement|introduce|integrate|incorporate|expose|extend|reintroduce|develop
    |adding|consider
make make|give|let|put|show|change|create|offer|support|improve|increase|remove|update|bring|build|release|use|reduce
    |simplify|keep|expand|optimize|optimise|redesign|rename|replace|merge|separate|open|port|unify|publish|document
    |display
option option|options|ability|feature|features|possibility|setting|settings|functionality|function|support|toggle
    |button|mode|way|choice|api|filter|filters|control|controls|capability|version|compatibility|theme|widget|method
    |tool|tools|update
tool tool|tools|app|apps|service|services|provider|platform|software|solution|solutions|alternative|alternatives
    |replacement|phone|laptop|bank|carrier|plan|vendor|agency|product|products|system|crm|plugin|program|car|camera|tv
    |headphones|tablet|supplier|host
work work|works|worked|working|load|loads|loading|open|opens|opening|start|starts|starting|connect|connects|connecting
    |connected|sync|syncs|syncing|play|plays|playing|send|sends|sending|save|saves|saving|update|updates|updating
    |respond|responds|responding|install|installs|installing|show|shows|showing|display|displays|displaying|displayed
    |download|downloads|downloading|recognize|recognizes|recognise|recognises|recognizing|function|functions
    |functioning|register|appear|appears|appearing|refresh|refreshing|process|processing|upload|uploads|uploading|run
    |runs|running|boot|charge|charging|render|renders|compile|launch|launching|authenticate|verify|detect|detects
    |print|scan|turn|activate|happen|fire|trigger|properly|correctly|print
access access|log|login|logon|sign|signin|connect|open|get|find|see|use|load|play|download|install|upload|send|save
    |view|post|book|check|pay|reach|add|change|update|register|receive|watch|share|enter|print|complete|contact
    |delete|reset|speak|talk|turn|edit|sync|redeem|select|move|purchase|read|hear|create|access|submit|cancel
    |retrieve|activate
"""

# The gatekeeper of contract 3.5. A flag says where to look and never what to think.
GATEKEEPER: Final = """
LEAD.switch
    switch/ing to|from
LEAD.alternative
    alternative/s, cheaper, better than, replace/ment, looking for
LEAD.recommend
    recommend/ation/ations, suggest/ion/ions
PAIN.hate
    hate, worst, scam, support is? terrible|awful|bad, frustrated, disappointed, angry, furious
PAIN.broken
    fail/ed/ing, broken, slow, crash/es/ed/ing, glitch/y/es, bug/s/gy, does not work, not working
PURCHASE.buy
    buy/ing, demo, trial, upgrade, subscription, enterprise, quote, discount
PURCHASE.price
    price, pricing, cost/s, plan/s
LAUNCH.launch
    launch/ing/ed/es, ship/s/ping/ped, release/s/d, releasing, announce/s/d/ment, announcing, rollout, going live
LAUNCH.version
    beta, alpha, new feature/s, now available, just arrived, introducing, unveil/s/ed/ing, debut/s, v1, v2, v3, v4, v5
"""

# Crisis words (contract 3.17): they add weight to a crisis that shows otherwise and raise nothing alone. Words with an
# everyday sense ("charged", "recall", "down", "safety", the crash of an app) count only in the phrase of the grave one.
CRISIS: Final = """
CRISIS.security
    breach/es/ed, data leak/s, leaked ~2 data|passwords|emails|records, got|was|been|were|is|are hacked, hackers
CRISIS.law
    lawsuit/s, sued, suing, sue you|them|\ue000, class action, fraud, scam/s/med/mers, arrested, indicted,
    criminal|fraud|facing charges, charged with fraud|assault|murder|theft|negligence, criminally charged,
    under investigation, federal investigation, investigated|investigation by|into, regulators,
    sec probe|investigation, ftc
CRISIS.public
    boycott/s/ed/ing, scandal/s, exposed as|for|by, outrage
CRISIS.outage
    outage/s, servers|server|site|website|systems|service|network|app|everything is|are|was|still|completely? down,
    service down
CRISIS.harm
    injury, injuries, injured, deaths, fatal/ly, death of, caused ~2 death,
    people|passengers|passenger|person|man|woman|child|patients died|killed,
    safety recall|issue|risk|hazard|concern|concerns|defect,
    product|vehicle|food|urgent|massive|issued|issues a? recall,
    recalled|recalling ~2 products|cars|vehicles|units|models, plane|train|car|fatal|deadly|stock|market crash|crashed
"""

TOPICS: Final = """
topic.pricing
    price/s/d, pricing, cost/s, costly, expensive, cheap/er, fee/s, charge/s/d me|us|my|for|twice|extra,
    extra charge/s, subscription/s, fare/s, refund/s/ed,
    discount/s, bill/s, billing, billed, overpriced, afford/able, overcharged, invoice/s, payment/s, paid, money
topic.customer_support
    support, customer service, customer care, helpdesk, help desk, agent/s, representative/s, reps, rep,
    call center|centre, on hold, hung up, live chat, hold time/s, no response|reply|answer, support ticket/s,
    customer svc, staff
topic.bugs
    bug/s/gy, crash/es/ed/ing, glitch/es/y/ed, error/s, broken, freezes, freezing, frozen, not working,
    does|do|did|will not work, stopped working, force close/s/d, issue/s, fix/es/ed
topic.features
    feature/s, functionality, option/s, add|adding support|option|options, wish list, missing option, customization,
    setting/s, dark mode
topic.performance
    slow/er/ly, lag/s/gy/ging, latency, fast/er, speed/s, performance, loading time/s, load time/s, sluggish, battery,
    timeout/s, timed out, memory usage, unresponsive, takes forever
topic.ui_ux
    ui, ux, interface, layout, usability, navigation, user friendly, intuitive, clunky, font/s, redesign/ed, design/s,
    dark mode, menu/s, theme/s, confusing, easy to use
topic.onboarding
    onboarding, sign up, signup, signing up, tutorial/s, getting started, set up, setup, registration,
    first time user, activation, verification, create ~1 account
topic.integration
    integration/s, integrate/s/d, api, apis, webhook/s, plugin/s, sync/s/ing/ed, import/s/ing, export/s/ing, zapier,
    sdk, connector/s
topic.mobile
    mobile, iphone, ipad, android, ios, phone app, mobile app, app store, play store, tablet, smartphone
topic.security
    security, password/s, hacked, breach/es, privacy, phishing, 2fa, two factor, encryption, data leak, leaked,
    vulnerability, stolen, scam/mers, fraud, permissions, unauthorized|unauthorised
"""

# What a complaint is about (contract 3.7). Read only where something else has shown that the text complains.
COMPLAINTS: Final = """
complaint.pricing
    price/s/d, pricing, cost/s, expensive, overpriced, overcharge/d, fee/s, charge/d/s, refund/s/ed, bill/ed/ing,
    money, paid|pay|paying, rip off, ripoff, scam, greedy, fare/s, subscription
complaint.missing_features
    missing, lack/s/ing, no option, no way to, feature/s, no support for, removed, bring back,
    not ~2 option|ability|support|supported, unable to customize, needs more, should have
complaint.support_issues
    customer service, customer support, customer care, support, service, rude, hung up, on hold,
    no response|reply|answer, no one|body, nobody, unhelpful, rep, reps, agent/s, representative/s, ignored, ignoring,
    respond/s/ed, response, reply, replied, staff, attitude, unprofessional, call/ed, phone, email/s/ed, employees,
    attendant/s, crew, answer/s/ed, supervisor, communication, hold
complaint.performance
    slow/er/ly, lag/s/gy/ging, takes forever|long|ages, loading, sluggish, battery, buffering, timeout, timed out,
    unresponsive, speed, memory, too long, heavy
complaint.usability
    confusing, hard|difficult to, complicated, clunky, unusable, interface, ui, annoying, cumbersome, user unfriendly,
    find, intrusive, ads, ad, navigate, cluttered, layout, design
complaint.reliability
    crash/es/ed/ing, bug/s/gy, glitch/es/y, error/s, broken, broke, freezes, freezing, frozen, fail/s/ed/ing/ure,
    down, outage/s, lost, lose, losing, delay/s/ed/ing, late, cancelled, canceled, missed, damaged, not work|working,
    stopped, stuck, wrong, missing bag|bags|luggage, disconnects|disconnected, unreliable, stranded, mechanical,
    never arrived|received, problem/s, issue/s, fix, waiting, hours, fly|flying, will not, does not, unable to,
    deleted, disappeared
"""

EMOTIONS: Final = """
emotion.joy
    love/d/ing/s, happy, happily, glad, joy, enjoy/ed/ing/s, delighted, thrilled, excited, exciting, awesome, amazing,
    fantastic, wonderful, fun, great, yay, grateful, thankful, pleased, perfect, best, cheerful, blessed, 😍, 🥰, 😊, ❤,
    😀, 😁, 😃, 😄, 🎉, 🥳, 👏, 💯
emotion.anger
    angry, anger, furious, mad, pissed, rage, outraged, hate/s/d, livid, infuriating, infuriated, frustrated,
    frustrating, frustration, annoyed, annoying, irritated, irritating, ridiculous, unacceptable, outrageous,
    screw you, fuck/ed/ing, damn, bullshit, wtf, fed up, irate, fuming, worst, liars, incompetent, 😡, 😠, 🤬, 👿, 😤
emotion.fear
    afraid, scared, scary, fear/s/ed, worried, worry, worrying, terrified, terrifying, anxious, anxiety, nervous,
    panic/ked/king, frightened, frightening, concerned, unsafe, dangerous, 😱, 😨, 😰, 😟
emotion.sadness
    sad, sadly, sadness, unhappy, disappointed, disappointing, disappointment, depressed, depressing, heartbroken,
    cry/ing, crying, cried, miss you, unfortunately, regret, upset, upsetting, let down, sorry to see, hopeless,
    tears, miserable, devastated, 😢, 😭, 💔, 😞, 😔
emotion.surprise
    surprised, surprise, surprising, surprisingly, shocked, unexpected, unexpectedly, unbelievable, unbelievably, omg,
    wow, whoa, astonished, astonishing, stunned, incredible, suddenly, speechless, can not believe, 😲, 😮, 🤯, 😳
emotion.disgust
    disgust/ed/ing, gross, nasty, sick of, sickening, revolting, vile, filthy, repulsive, appalling, appalled,
    disgrace/ful, shameful, yuck, ew, eww, pathetic, horrid, dirty, smelly, 🤢, 🤮
"""

LEAD_SCORE: Final = """
score.ready_to_buy
    want|ready|looking|going|hoping|like|love to {buy}, where can|do|to i? {buy}, will be {buy}|buying, need to {buy},
    buying
score.pricing
    pricing, price/s, how much, cost/s
score.demo
    demo/s, trial/s, sign up, signup, signing up
score.take_my_money
    take my money
score.considering
    considering, thinking about|of, looking at|into
score.recommendation
    recommend/s/ation/ations, review/s, suggestions
score.comparison
    alternative/s, vs, versus, compare/d, comparison, compared to
score.interest
    interesting, interested, curious, heard about|of
score.what_is
    what is, how does|do
score.loathing
    hate/d/s, terrible, worst, scam
score.cancelling
    {cancel}, unsubscribe/d, refund/s/ed
"""

# Lead score (contract 3.8): points for each group touched, however often; the sum is clamped to 0..100.
LEAD_POINTS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("ready_to_buy", "pricing", "demo", "take_my_money"), 30),
    **dict.fromkeys(("considering", "recommendation", "comparison"), 15),
    **dict.fromkeys(("interest", "what_is"), 5),
    **dict.fromkeys(("loathing", "cancelling"), -20),
}

_AUXILIARIES: Final = "do does did is are was were has have had would could should might must need".split()
_PRONOUNS: Final = "i you we they he she it that there what where who how this here".split()
_ENDINGS: Final = {"m": "am", "re": "are", "ve": "have", "d": "would", "ll": "will", "s": "is"}

CONTRACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    **{verb + "n't": (verb, "not") for verb in _AUXILIARIES},
    **{verb + "nt": (verb, "not") for verb in _AUXILIARIES},
    **{f"{pronoun}'{short}": (pronoun, verb) for pronoun in _PRONOUNS for short, verb in _ENDINGS.items()},
    **dict.fromkeys(("can't", "cant", "cannot"), ("can", "not")),
    **dict.fromkeys(("won't", "wont"), ("will", "not")),
    **dict.fromkeys(("ain't", "aint"), ("is", "not")),
    **dict.fromkeys(("pls", "plz", "plss", "plzz", "plsss", "plzzz", "pleasee", "pleaseee"), ("please",)),
    **dict.fromkeys(("thx", "tks", "thanx", "thnx", "ty", "tysm"), ("thanks",)),
    "n't": ("not",),
    "shan't": ("shall", "not"),
    "im": ("i", "am"),
    "ive": ("i", "have"),
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("got", "to"),
    "u": ("you",),
    "ur": ("your",),
    "thankyou": ("thank", "you"),
}
"""Short forms and the words they stand for, so that a phrase need be written once."""

NEGATORS: Final = frozenset(
    "not no never without neither nor none nobody nothing nowhere zero lacks".split()
) | frozenset("hardly barely scarcely rarely seldom".split())
NO_NEGATION: Final = frozenset("only just wonder doubt matter wait hesitate forget".split())
"""After a negator these undo it: "not only", "no wonder", "cannot wait", "do not hesitate"."""
SCOPE_BREAKERS: Final = frozenset(
    "but however although though because since and so i we he she they it if when unless \ue000 @".split()
)
"""Words that begin a new statement: a negator before them says nothing about what follows."""
TRANSPARENT: Final = frozenset(
    "\ue000 \ue001 @ please just also so ok okay hey hi hello well maybe perhaps then kindly now guys dear".split()
)
"""Words that may stand before the first word of a sentence."""
EMOJI: Final = "🙄😒😑😡😠🤬👿😤😢😭💔😞😔😟😱😨😰😳😲😮🤯🤢🤮😍🥰😊❤😀😁😃😄🎉🥳👏💯👍👎"
"""The emoji that occur in the vocabularies."""
