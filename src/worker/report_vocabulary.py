"""What shows a report: something failed (BUG_REPORT) or is wished for (FEATURE_REQUEST).

In the notation of `phrases.py`; weights as in `intent_vocabulary.py`. BUG_REPORT is read as "a failure of product or
service that the author met": the taxonomy of the contract has no intent of its own for complaints, and a lost bag
wants a ticket as much as a crash does.
"""

from __future__ import annotations

from typing import Final

BUG: Final = """
bug.crash 0.6
    crash/es/ed/ing
    force close/s/d
    force closing|stop|stops|quit
    closes|closed|shuts|quits ~2 itself|unexpectedly|automatically|down|out
bug.freeze 0.46
    freeze|freezes|froze|frozen|freezing|freez|hangs|hanged
    gets|get|got|stuck|getting|is|are|am|was|been|keeps stuck
    unresponsive
bug.bug 0.6
    bug|bugs|buggy|bugged|glitch|glitches|glitchy|glitched|glitching|corrupt|corrupted
bug.error 0.5
    error|errors
    exception|exceptions thrown|is|occurs
    invalid|unexpected|internal error|response|argument
bug.not_working 0.55
    do|does|did|is|are|will|would|was|were|has|have|just|still not ~2 {work}
    not work|working|worked|loading|opening|responding|syncing|playing|showing|downloading|updating|connecting
        |functioning|available|displaying
    no longer work|works|working|loads|opens|supports|shows|plays
    stop|stops|stopped|quit|quits|stopping working|loading|playing|responding|syncing|showing|sending|updating
        |receiving|recording|functioning|connecting|charging|tracking|getting
    never work|works|worked|loads|loaded|opens
    nothing works|happens|loads
    does|will|do|did not ~1 let|allow|recognize|recognise
    not letting|allowing me|us|you
    will not let
    not fit|appear|respond|open|run|start|load|play|install|connect|download|update|sync|show|display|compile
    hardly|barely|rarely {work}
bug.cannot 0.46
    can|ca|could not ~2 {access}
    unable|impossible|failed|fails|fail|failing|refuses to ~1 {access}|{work}
    not able to ~1 {access}|{work}
    no way to contact|reach|log|get|speak|talk
    can not ~1 log|sign in
    trouble|difficulty|difficulties|problem|problems|issues|issue logging|with|connecting|opening|loading|getting
        |using|accessing|booking
bug.fail 0.42
    fail|fails|failed|failing|failure|failures|epicfail|fails
    epic fail
bug.broken 0.5
    broken|broke|breaks
    not ~2 fixed
    messed up
    screwed up
    screw up
    mess up
    down again|for|since|all|today
    {stuff} is|are|was|still|been|completely|seems|always ~1 down|broken|dead|unusable|useless|blank|missing|gone
    site|website|server|servers|app|system|systems|service|internet|wifi down
    unusable|unplayable|nonfunctional|inoperable|unstable|outage
    black|blank|white|grey screen
    goes|went|gone|turns black|blank|dead
    defective|faulty|malfunction|malfunctioning
bug.fix 0.5
    fix it|this|that|the|your|these|asap|please|soon|and|or|for|those
    please|needs|to|be|must|get ~2 fix|fixed|fixing|repair
    fixed soon|asap|please|or
    resolve|solve|address this|the|my|it ~1 issue|problem|bug|matter|asap
    needs fixing
bug.problem 0.42
    disappeared|disappears|vanished|disappearing
    problem|problems|prob|issue|issues|trouble|troubles with|when|where|is|are|in|on|since|after|using|logging
        |connecting|persists|again|like
    having|have|has|had|experiencing|encountering|facing|same|another|huge|major|serious|big|many|several|annoying
        |multiple|constant ~3 problem|problems|issue|issues|trouble|difficulties
    what is wrong with
    something|went|gone|is|goes wrong
    wrong size|item|order|address|name|date|flight|color|colour|product|info|information|seat|gate|time
bug.since_update 0.4
    since|after|with|ever|until the|this|last|latest|new|recent|my|i ~2 update|updated|upgrade|version|updating
        |upgrading|patch
    latest|new|recent|last update|version|upgrade
    used to work|be|have|load
    updated and now
    keeps|keep|kept crashing|freezing|closing|asking|logging|saying|stopping|loading|buffering|telling|disconnecting
        |showing|failing|getting|kicking|signing|popping|giving|shutting|hanging|resetting
    constantly crashing|freezing|closing|asking|logging|buffering
    all of a sudden
bug.slow 0.42
    slow|slower|slowly|sluggish|laggy|lag|lags|lagging|laggs|buffering|unstable
    takes|taking|took ~1 forever|ages
    too long
    drain|drains|draining|drained ~2 battery|data
    battery drain|drains|hog
bug.lost 0.55
    lost|losing|lose|loses|misplaced|damaged|broke|ruined|destroyed|stole|stolen|deleted|deletes|wiped|mishandled my
        |our|all|the|his|her ~2 {goods}|progress|saves
    {goods} is|was|has|have|got|are|were|still|been|never ~2 lost|missing|damaged|stolen|destroyed|gone|misplaced
        |delayed|arrive|arrived|ruined|left|stuck
    lost|missing|damaged|delayed luggage|bag|bags|baggage|package|order|parcel|suitcase|delivery
    without my|our|her|his luggage|bag|bags|baggage|clothes
    where is|are|the ~1 my|our {goods}
    all my ~2 gone|deleted|lost|disappeared
bug.delay 0.42
    delayed|delays|delay|delaying
    {hours}|so|very|too|always|was|is|running|arrived|are|again|flight|flights late|behind
    late again|for|flight|flights|and|due|every|departure|arrival
    cancelled|canceled|cancelling|canceling|cancels|cancel flight|flights|my|our|on|due|again
        |without|the|and|me
    {be}|flight|flights|got|get|just|have|has cancelled|canceled
    cancellation|cancellations
    missed|miss|missing|misconnected my|our|the|a|his|her|their|connecting|all ~1 connection|flight|connections
        |flights|meeting|wedding|connecting|funeral|event
    stranded|diverted|overbooked|oversold|bumped|rerouted|rebooked
    sitting|sat|stuck|waiting|waited|stranded on|in|at|for|here ~2 tarmac|runway|plane|gate|airport|hour|hours|flight
        |line|queue|minutes|mins|min|hrs|days|weeks|terminal
    {hours} delay|delays|wait|late|layover
    mechanical|maintenance issue|issues|problem|problems|failure|difficulties
    no crew|pilot|pilots|plane|gate|gates
bug.no_answer 0.42
    on|been|still|of hold|hold ~2 for|with|{hours}|over|now|and|since|forever
    hold time|times
    put|puts|putting|keep|keeps|left|kept me|us on hold
    hung|hang|hangs|hanging up on? me|us|again
    hung up
    hold|wait|phone|call time|times|line|lines
    {hours} of? hold|waiting|delays|wait
    no ~1 apology|notice|explanation|communication|clue|idea|word|announcement|compensation|accountability|answers
        |updates|info
    disconnects|disconnected|disconnect me|us|my|after|call|again|twice
    no one|body|1 answers|answer|responds|helps|picks|replied|responded|knows|can|will|cares|there|here|to|is|has|at
        |available
    nobody|noone answers|responds|helps|picks|replied|responded|knows|can|will|cares|there|here|to|is|has|at
    still|been|am|are|was|were|and|hours|keep|just waiting ~1 for|on|{hours}|to|since|over|at|in|here
    waiting|waited|wait ~3 {hours}
    still no|not|have|nothing|waiting|awaiting
    no response|reply|answer|answers|help|info|information|explanation|update|updates|refund|resolution|communication
        |compensation|apology|luggage|luck|email|record|one
    not ~1 heard|received|gotten|responded|replied|answered|respond|reply|answer|arrived|answering|responding|help
        |helping|receive|get|got|got|care|helpful|pick
    never received|arrived|came|got|showed|called|responded|answered|answer|replied|respond|reply|heard|happened
        |delivered|shows|made|get|gets
    ignored|ignoring|ignore|ignores|unanswered
    can|could not|never get|reach|speak|talk|find|contact ~2 through|anyone|someone|person|agent|human|rep|answer|help
        |hold|anybody|ahold|live
    any|no one help|care
    phone|phones|line|lines ~2 busy|disconnected
    refuse|refuses|refused|refusing|denied to|my|our|me|us|boarding
    ran|runs|transferred|passed|bounced|around ~1 around|circles
    how long|many ~1 hours|times|days|more|calls
bug.on_hold 0.52
    on hold
    hung up on me|us|after|again|twice
bug.why 0.38
    why do|did|does|can|would|is|are|has|have|was|must|should ~1 you|your|we|i|my|they|it|there|nobody|no|not|this|the
bug.waited 0.33
    for|over|after|almost|than|about|past|another|nearly|took|takes|taken ~2 {hours}
    {hours} and|now|later|counting|already|ago ~2 still|no|nothing|counting|waiting
bug.told 0.28
    i|we was|were|got been? told
    been told
    told|tells|telling me|us|that
    should|could|would have ~1 been|told|known|let|had|just|at|thought|gotten|informed|made|given
bug.compensation 0.38
    refund/s/ed/ing, reimburse/d/ment, compensate/d, compensation, credit for
bug.negation 0.2
    not, no, never, nothing, nobody, without
bug.for_no_reason 0.33
    no reason
    every|each time i|we|it|the|you
    tried|try|trying|keep to|everything|again|multiple|several|many|calling|emailing|reaching
    please|need|someone|anyone|can ~2 help
bug.charged 0.5
    charged|charge|charging|billed|billing me|us|my ~3 twice|again|double|extra|for|without|wrong|incorrectly|full
        |more|even|too
    charged|billed twice|double|incorrectly|wrongly
    overcharged|overcharge|overcharging
    double|wrong|unauthorized|unauthorised|hidden charge|charged|charges|billed|fee|fees|transaction
    want|need|give|demand|get|where|refuse|waiting|no ~4 refund|refunded|reimbursed|reimbursement
    money back
    ripped off
    rip off
    stole my|our money
    waste|wasted|wasting of|my|our|your|so|all ~1 money|time|hours|day|data|space
bug.price 0.42
    price|prices|pricing|fee|fees|cost|costs|fare|fares|rates|bill ~3 ridiculous|outrageous|insane|doubled|tripled
        |increase|increased|increases|hike|crazy|skyrocketed
    too|so|way|ridiculously|insanely expensive|pricey|overpriced|costly
    overpriced, ripoff, price gouging|hike|hikes, extortionate
    not worth ~2 money|price|cost|it|paying
bug.bad_service 0.52
    {terrible} ~2 {service}|{stuff}|{company}
    {service}|{stuff}|{company}|{brand} ~1 {be} ~3 {terrible}|joke|horrible|useless|ridiculous|slow|unacceptable
        |nightmare|lacking|nonexistent|sucks
    {service}|{stuff}|{company}|{brand} suck|sucks|sucked|stinks|blows
    worst ~3 ever|experience|service|flight|company|airline|app
    poor|bad|terrible|horrible|zero|lack of|customer? communication|service|planning|experience|attitude|quality
        |customer
    no customer? service|support|communication
    rude|unprofessional|unhelpful|condescending|incompetent|disrespectful|dishonest|snotty|unfriendly
    unacceptable|inexcusable|ineptitude|incompetence
    badservice|customerservicefail|poorservice|terribleservice|worstservice|worstcustomerservice
    get|getting|got your|it|ya shit|act|together
    be|get|got fired
    are you kidding|serious|joking
    you kidding me
    treat|treats|treated|treating ~2 customers|customer|passengers|people|us|me ~1 like|badly|poorly|terribly
    shame on
    {be} a|such|total|complete ~2 joke|disgrace|disaster|nightmare|mess|ripoff|scam
    zero|one|0|1 star|stars
bug.displeased 0.32
    attitude|attitudes|yelled|yelling|screamed|nasty|dismissive|arrogant|clueless|lazy|careless|filthy|dirty|smelly
        |cramped
    unorganized|disorganized|disorganised|chaos|chaotic|debacle|fiasco|disaster|trainwreck|shambles|shitshow|craziness
    disgraceful|outrageous|unbelievable|shameful|atrocious|deplorable|gross
    disappointed|disappointing|disappointment|disappoints|dissapointed|dissatisfied|unhappy|unimpressed
    frustrated|frustrating|frustration|annoyed|annoying|irritating|infuriating|aggravating|furious|livid|irate|fuming
    ridiculous|absurd|pathetic|awful|horrible|terrible|sucks|suck|sucked|crappy|useless|worthless|worst|horrendous
        |disgusting|garbage|lame|nightmare|joke|wtf|smh|bullshit|bs
    let|lets|letting me|us|customers|everyone|down ~1 down
    not happy|pleased|impressed|satisfied|good|cool|acceptable|ok|okay|great|helpful|fair|nice|right|worth|amused
        |enough|a good
    hate|hated|hating|hates
    really ? ?
    seriously ?
    what the hell|heck|fuck
    lied|lies|lying|liars|misled|misleading
    never|not again|once
    ashamed|embarrassing|embarrassed
    make|makes|made no sense
"""

FEATURE: Final = """
feature.would_be_nice 0.5
    would|will|might|may|could|should be|have been|make ~2 {nice} if|to|when|having|for|with|that|and
    it|that|this|which would be ~2 {nice}
    would be ~2 {nice}
    {nice} if you|it|there|we|i|they|the|this|only|some|could
    {nice} to have|see
feature.would_like 0.46
    would|will|i|we ~1 like|love|prefer|appreciate to ~1 see|have|be|add|suggest|request
    would|will ~1 like|love|prefer|appreciate|enjoy a|an|the|if|it|more|option|some|this|that|being|having
    would like|love|want ~3 to be|allow|support|have|include|add
    want|wanted|wants|need|needs to be able
    love to have|see|be
feature.wish 0.46
    i|we|just|only|really|do wish ~1 i|we|it|there|this|the|you|they|that|had|for
    wish ~1 i|we|it|there|this|the|you|they ~2 had|could|would|was|were|did|can|has|have|allowed|is|let|made|add
        |came
    if only i|we|it|you|there|they|this|the
    my only wish|complaint|request|suggestion|issue|gripe is|would
feature.should 0.45
    should|must ~2 change|remove|fix|update|bring|reduce|make|release|use
    should ~2 allow|support|provide|add|include|implement|let|offer|enable|introduce|create|improve|automatically
        |consider|extend|expose|accept|permit|work|have|give|make
    should ~1 be ~2 able|possible|available|added|included|allowed|optional|a|an|more|configurable|easier|supported
        |enabled|removed|changed|improved|implemented|provided|moved|displayed|exposed|updated|easy|in|used|shown|on
        |part|returned|consistent|treated
    there should|must|needs|need|has be|to
    must ~1 have|support|provide|allow
    should not ~1 be|have|need|require|force
feature.please_add 0.6
    please|kindly ~2 {add}|improve|extend
    please|kindly ~1 make it|the|this|possible|available|an|a
    please|kindly ~1 give|provide|have|include|bring|create|support an|a|more|the|option
feature.please 0.42
    please|kindly ~1 {make}
    please fix
feature.add 0.5
    make|makes|making it|this|them ~1 possible|easier|available|configurable|optional|customizable|compatible
    please|you|they|can|could|should|to|and|must|just|devs|developers|only|would|might|by|we|need ~1 {add} a|an|the
        |more|some|option|support|new|ability|other|this|us|users|another|additional|better|it|for|dark|multiple|in
        |feature|features|to|me|people
    ^{add}
    ^bring back
    ^extend|create|remove|improve|support|increase|expose|merge|unify|replace|reduce|offer|update a|an|the|more|some
        |it|us|users|all|support|this|apps|developers|your|for|better
feature.do 0.38
    ^put|get|give|make|let|have|show|change|use|open|keep|bring a|an|the|more|some|it|us|back|users|all|support|this
        |apps|developers|your|for|better|possible
feature.can_you 0.45
    can|could|would|will you|they|we|someone ~2 {add}|improve|extend|include
    can|could we|you|i ~1 get|have|see a|an|the|more|some|option
    why not ~2 {add}|make|let|have|give|just
    why is|are|can|do|does|did not? there|you|we|i|they|it ~1 no|not|an|option|add|have|allow|support|let|make|an
    what|how about a|an|adding|some|making|the|letting|allowing|having
    how hard is|can
    any|is|are there|any plan|plans|chance|way to|for|of|on
    when will ~3 available|support|supported|add|come|get|have|be
feature.needs 0.42
    need|needs|needing|require|requires ~1 more|better|an|some|option|improvement|improvements|support|additional|way
        |a
    need|needs|required to ~1 be|have|add|allow|support|provide|include|implement|improve|make|let|give|expose|offer
    could|can|should be|use|do ~1 better|improved|easier|simpler|nicer|faster|improvement|work|more|some|with|enhanced
        |extended
    room for improvement
    better if|with
    only|one|just|main thing|things missing|i|that|it|is|would|needs|lacking
    perfect|better|great|good|nice|cool|awesome|stars|5 if i|you|it|there|only|they|we|could|would|needs
feature.option 0.3
    be able to
    dark mode|theme
    give|gives|provide|provides|add|adding|have|having|with|offer|need|needs|want|include|like|get|be|allow|no|an|some
        |another|same|other|simple|extra ~1 option|options|ability|possibility|setting|functionality|feature
        |capability
    option|ability|possibility|setting|functionality|capability|feature|features to|for|where|that|of|like|in|would
    no option|way|ability|possibility|support|setting to|for
    not ~2 option|way|ability to
    allow|allowing|allows|let|letting|enable|enabling|enables me|us|users|user|people|developers|developer|customers
        |apps|app|the|for|to
    so that|we|users|i users|we|i|user|you|developers|can|could|it|the|people
    instead of|the
    at least
feature.missing 0.4
    no dark|landscape|offline|night mode
    does|do|did not ~1 have|support|offer|include|provide a|an|any|the|dark|support|for|option
    missing feature|features|option|options|functionality|support
    lack|lacks|lacking|lacked of?
    {be} ~1 missing a|an|the|some|in|from|is
    feature request|requests|suggestion
    suggest|request|requesting|propose ~1 feature|features|that|to|adding|you|a|an
feature.suggest 0.55
    i|we|to|would|strongly|also|my|a|an|some|one|few|another|small|couple|quick|humbly suggest|suggestion|suggestions
        |propose|proposal
    my|an|one|another|quick idea
    ^suggestion|suggestions|idea|request|proposal
    feature request|requests
    my suggestion|request|idea|proposal|vote
    please ~1 consider|reconsider
    consider adding|making|allowing|providing|to|the|supporting|a
feature.hope 0.4
    hope|hoping|hopefully|hopes ~5 add|added|adds|improve|improved|improves|bring|include|included|allow|implement
        |implemented|support|supported|introduce|update|updated|consider|provide|come|comes|fix|see|have|be|make|get
        |change
    looking forward|wait to|for ~4 feature|features|update|version|support
    please|hope in|for ~2 next|future update|version|release|updates
    next|future update|version|release|updates
feature.bring_back 0.45
    bring|put|give|want|change|changed|switch|return ~3 back
    go|going|revert|return back? to ~2 old|previous|original|last|way
    old|previous|original version|design|layout|interface|ui|logo|format|way
feature.would_make 0.25
    would|could|will ~1 make|help|improve|solve|allow|enable|save|increase|simplify|encourage|give|benefit|reduce
        |provide|be|also
    it|this|that|which would|could be|have
    more|additional|extra|better|additional options|option|features|control|customization|languages|filters|themes
        |levels|effects|fonts|stickers|settings|functionality|choices|variety|tools|modes|support|flexibility|info
        |information
"""

REPORTS: Final = BUG + FEATURE
