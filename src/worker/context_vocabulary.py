"""What decides how the intents are read: sarcasm, failures, what is at stake for the author, and what overrules a rule.

In the notation of `phrases.py`.
"""

from __future__ import annotations

from typing import Final

SARCASM: Final = """
sarcasm.marker
    /s
    #sarcasm
    #sarcastic
    ^yeah {pause}? right
    slow clap
sarcasm.thanks_for_nothing
    thanks|thank|cheers ~3 for nothing
    thanks|thank ~4 for losing|ruining|cancelling|canceling|delaying|wasting|ignoring|stranding|screwing|messing
        |ripping|overcharging|destroying|failing
    thanks|thank ~3 for the|another ~1 delay|delays|cancellation|headache|runaround|inconvenience
    good|great|nice|awesome|excellent job|work ~1 losing|ruining|cancelling|canceling|delaying|breaking|failing
        |messing|screwing
    way to ruin|lose|fail|mess|screw|waste|break
sarcasm.praise_of_failure
    ^oh? {warm} {pause}? another
    ^oh? {warm} {pause} yet another|again
    ^oh|just|how {warm}
    love|loving|enjoy|enjoying being|sitting|waiting|paying|standing|getting
    love|loving it? how|when you|they|your|the|{brand}|my
    so glad|happy|nice|fun ~1 i|we ~1 paid|wait|waited|wasted|lose|lost|sat
    nothing like|says|better ~2 being|waiting|sitting|stuck|paying|getting|a|another
    got to|have love
sarcasm.praise_then_failure
    ^oh? {warm} {pause} now|the|my|our|your ~4 {fails}
sarcasm.eye_roll
    🙄
    😒
    😑
"""

# Events that are bad for a customer, whatever the words around them: needed before praise may be read as sarcasm.
FAILURE: Final = """
failure.event
    cancel|cancels my|our|the
    {fails}
    delay|delays|cancellation|cancelling|canceling|crash|crashes|outage|bug|bugs|fail|fails|failure|error|errors
        |losing|ruining|overbooked|slow|worst|ads|fee|fees|downtime|tarmac|queue
    price increase|hike
    not|never ~1 working|work|works|responding|loading|answering|fixed
    on hold
    waiting|wait|waited ~3 {hours}
    {hours} late|delay|wait|behind
    hung up
"""

# `customer`: the author has a flight, an order, a bill. `product`: the text is about what can fail or be improved.
CONTEXT: Final = """
customer.mine
    my|our|his|her ~2 flight|flights|flt|bag|bags|luggage|baggage|order|orders|account|reservation|booking|ticket
        |tickets|seat|seats|subscription|refund|bill|card|plan|contract|policy|package|parcel|delivery|trip
        |confirmation|miles|points|password|invoice|membership|claim|case|connection|gate|itinerary|fare|pass|boarding
        |rewards|voucher|credit|vacation|phone|internet|service
    i|we|have|had|already|just paid|bought|booked|ordered|purchased|upgraded|subscribed|flew|waited|called|emailed
        |reserved
    been|am|as|was a|an ~2 customer|member|subscriber|user|flyer|passenger
    customer|member|user|customers for|since
    refund|refunded|rebook|rebooked|rebooking|reschedule|rescheduled
    i|we use|used
    i|we have|am been|using
    your|the|an rep|reps|agent|agents|staff|driver|crew|representative|employee|employees|attendant|attendants|pilot
        |supervisor
    flight|flt|confirmation|order|ticket ~1 number|status
    flight|flights
    check in|my|on|a
product.product
    price|prices|pricing|subscription|plan|fees
    function|functions|pages|store|code|project|library|sdk|format|folder|folders|search|mail|email|calendar|music
        |playlist
    feed|articles|bar|buttons|display|performance|documentation|template|background|font|fonts|emoji|emojis|dashboard
        |profile
    {stuff}|{option}|user|users|software|apis|menu|layout|interface|developer|developers|devs|windows|android|ios
        |iphone|ipad|api|ui|tab|icon
    message|messages|chat|file|files|level|levels|list|photo|photos|picture|pictures|text|post|posts|data|control
urgent.urgent
    asap|urgent|urgently|emergency|immediately|stranded|immediate
    right now
    need help now|please|asap
    hacked|stolen
"""

# What looks like a rule and is not: `veto.churn:switch` cancels a hit of that rule which it overlaps, `veto.churn` any
# hit of the family.
VETO: Final = """
veto.churn
    {switch} ~5 to {brand}
veto.churn:switch
    {switch}|change|changing|changed ~5 {trip}|mode|modes|view|tab|tabs|accounts|language|languages|screen|screens
        |theme|user|users|page|pages|windows|window|off|on
    {switch} back and forth
    moving to|from ~3 {trip}|card|folder
    convert/ed/ing to
veto.churn:never_again
    never again will i|we have|need|be without|worry
    never|not ~2 have|has|had|having|happen|happens|do|work|works|be|been|see|need|worry|come|coming|go|doing ~3 again
    would|will never go|be|know|get|stop|leave
    can|could|does|do|did|is|are not ~1 {use}
veto.churn:leaving
    leaving you|them|@|{brand} a|stranded|hanging|waiting|on|this|some|my|feedback|in
    leave you|them|@|{brand} a|stranded|hanging|waiting|on|this|some|my|feedback|alone|in
    drop|dropping|dropped you|them|@|{brand} a|off|an|some|my
    {cancel} ~2 flight|flights|reservation|trip
veto.churn:lost_business
    business class|trip|select|meeting|card|account|day|days
veto.churn:cancel
    you|they|@|{brand}|have|has|was|were|got|been|had|who|just cancelled|canceled my|our
    {cancel} ~4 flight|flights|flt|reservation|trip|order|meeting|ticket|tickets|booking|hotel|leg
veto.churn:done
    well done with
    had enough of? time|fun
    have|had enough to|money|time|space|room|seats
veto.churn:uninstall
    {not}|unable|let|way|how ~3 uninstall|delete
    uninstall/ed/ing|delete|deleted|deleting ~6 reinstall/ed/ing|install|installed|again|redownload
        |redownloaded
    uninstall/ed/ing ~2 updates|update
    delete|deleted|deleting my|the account by|without|for
veto.lead
    you|they|people|users|players|ppl|kids want|need|have|wants ~1 to {buy}
    forced|have|had|made|makes|make|trying|tries|tried to {buy}
    unless|without ~3 {buy}
    looking|searching for my|our|a|an|the ~2 flight|refund|answer|response|help|explanation|way|bag|luggage|job
        |apology|reply|solution
    how much longer|more|time|better|worse|worst|we|i|you|money|it|they|fun|patience
    does|do|how|for|is|would it? cost|costs ~2 to|for ~1 {trip}|change|cancel|check|carry|fly|switch|rebook|upgrade
    sign up|in page|process|again|button|screen|link|form|error
    recommend|suggest ~2 you|this|that|adding|to
    price|prices list? was|went|increase|increased|increases|hike|is|are ~1 too|ridiculous|high|up|insane|outrageous
veto.feature
    need|needs ~3 help|info|information|assistance|answer|answers|number|details|break|love|advice|clarification
    let me|us know
    please|can|could|would|you|to|and|will ~2 give|call|get|help|send|tell|put|show|have ~1 my|back|through|someone
        |somebody|refund|call|update|information|info|response
    please|can|could|would|you|to|and|will ~2 call|help|contact|send|tell|dm|get|put me|us
    make|makes|made sure|sense
    would|i like|love|want|prefer to know|hear|speak|talk|cancel|change|book|file|complain|report|thank
    would|i like|love|want|prefer to get ~1 my
    add|adding|added|put|change|get|have|include my|me|us|our|your|insult|to ~2 flight|reservation|account|booking|bag
        |name|number|list|insult|injury|ticket|wound|known|ktn|status|record|bags
    should|must be ashamed|embarrassed|fired|sued|illegal|noted|sorry|careful
    get|want|have|give|need|call|calls|called|getting|hear|heard|go|come|write|went ~2 my|me|our|us|their|your|the|a
        |his|her|money|luggage|bag|bags|refund|home|call|right back
    want|need|get my|our ~2 back
    that|it would|will be ~1 great|nice|good|awesome|lovely|appreciated {pause}
    hope|hopefully|hoping ~3 get|make|be|see|come|fix ~2 home|flight|better|well|there|time|soon|you|day|bag|luggage
        |connection|back
    nice|good|great|love|lovely|cool to be|have|see you|that|them|him|her|home|back|someone|it
    any|is there|any chance|way i|we|you|someone|this|that|my|the|to get|make|be|change|fly|check|catch|speak|talk
    will you|i|we|it|they|my be
veto.failure
    fix|fixed|fixing|fixes|resolve|resolved|solve|solved|handle|handled|avoid|despite|without|no ~3 {fails}|delay
        |delays|cancellation|crash|crashes|outage|bug|bugs|error|errors|queue|fee|fees|ads
veto.sarcasm
    cancelling|canceling ~3 charge|charges|fee|fees|subscription|order|membership|payment|booking
    yeah {pause}? right on|there|now|away|here|next
    so|very|really|pretty|too {warm}
veto.bug
    ^is|are|was|were|will|has|have|any|does|do|if ~5 delayed|delay|delays|late|cancelled|canceled|cancel|cancelling ~4
        ?
    no|zero|without|any|never ~2 problem|problems|issue|issues|bug|bugs|complaints|complaint|trouble|crashes|glitches
        |errors|delays|lag|delay|ads|fail
    {hours} ago|left|old|free
    bug|bugs fixes|fixed|free
    stopped crashing|freezing|lagging
    fixed|fixes|solved|resolved|fixing ~3 bug|bugs|crash|crashes|crashing|issue|issues|problem|problems|glitch
        |glitches|error|errors
    problem|problems|issue|issues|bug|bugs ~1 is|was|are|were|been|got|now solved|resolved|fixed|gone
    can|could not wait|live|stop|beat|complain|believe|imagine|thank|say|recommend
    can|could not get enough
    can|could not help but
    am|are|was|so|too|being|going broke
    breaks|broke my|the|up|even|into|down heart|record|news|with|ice
    broke|breaks up|even|into
    could|can not ~2 better|happier|enough|more|without
    late night|at|last|morning|afternoon|evening|flight|in
    slow down|motion|cooker|mo
    never|not fail|fails|failed|disappoint|disappoints|disappointed|crash|crashes|crashed|slow
    not bad|only|just|to mention
    thank/s ~5 fix|fixing|fixed|resolving|resolved|solving|helping
    breaking bad|news
"""

SETTING: Final = SARCASM + FAILURE + CONTEXT + VETO
