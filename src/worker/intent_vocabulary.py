"""What shows an intent of a customer: churn, purchase, praise.

In the notation of `phrases.py`. The number after a rule is its weight: the chance, read alone, that the intent is
meant. Failures and wishes are in `report_vocabulary.py`, what overrules a rule in `context_vocabulary.py`.
"""

from __future__ import annotations

from typing import Final

CHURN: Final = """
churn.cancel 0.6
    ^delete|deactivate|remove my ~1 account
    how do|can|to i? delete|deactivate my ~1 account
    want|like|going to delete|deactivate|close my ~1 account
    {cancel} my|our ~3 subscription|account|membership|plan|contract|policy|service|services|card|premium|insurance
        |line|lines|internet|cable
    {cancel} this|the subscription|membership|contract|policy|service|account
    cancel|cancelling|canceling with {brand}|you|them|@
    i|we|to|will|just|am|be cancel|cancelling|canceling|cancelled|canceled {brand}
    how do|can i|we cancel my|the ~1 subscription|account|membership|plan|contract|service
    close|closing|closed my|our ~2 account|accounts
    terminate|terminating my|our ~2 contract|account|service
churn.switch 0.55
    i|we|am|are|will|be|been|to|of|about|considering|finally|now|officially|just|definitely|should|might|may|time|and
        |even {switch} from|away|over|to|back
    i|we|to|will|be|am|of|about|considering|just|should|might|may|time {switch} ~1 {company}
    {switch} carriers|providers|banks|airlines|networks|companies|phones|isps|suppliers|brands
    {switch}|change|changing|changed from {brand}
    change|changing|changed carriers|providers|banks|airlines|networks|companies
    made the switch from|to
    moving|going|heading to the? competition|competitor|competitors|another|different
churn.never_again 0.6
    {not} ~1 {use} ~6 again|anymore
    never|not ~1 do|doing ~1 business ~4 again|anymore
    never ~1 go|going|come|coming ~3 again|back
    not coming|going back
    never again
    neveragain
    never|not be {use} {brand}|you|them|@|with
    never {use} {brand}|you|@|with|another
    will|would never {use} {brand}|you|them|@|with|another|it|this|your
    will not be using|flying|buying|ordering|shopping|booking|renewing|recommending|returning|giving
    will not be back {pause}|again|ever|to
    will not {use} ~4 again|anymore|{brand}|you|them|@
    the|my|our last time i|we|you|am ~2 {use}
    be|is|was my|our|the last ~1 flight|order|purchase|trip|time with|on|at|from {brand}|you|them|@|your|this
    will avoid {brand}|@|you|them|this
churn.lost_business 0.6
    {brand} ~2 lost|losing me|us
    losing|lost me|us to
    take|taking|took|taken|move|moving|moved my|our|their ~1 business|custom
    take|taking|spend|spending my|our ~2 money elsewhere|somewhere|to
    lost|losing|lose|loosing my|our|this|some ~1 business
    lost|losing|lose|loosing a|another|one|this|me|us|more|loyal ~3 customer|customers|client|subscriber|member|user
        |passenger
    losing customers|business
    lost me|us as|forever|for
    go|going|look|looking|shop|shopping|fly|flying|buy|buying|bank|book|booking elsewhere|somewhere
    former|ex|previous customer|user|member|subscriber|client|fan
    no longer|not ~1 a? customer|client|subscriber
    no longer be|a|use|using|fly|flying|buy|buying|recommend ~2 {brand}|you|customer|this
    jump|jumping|jumped ship
    not earn|get|getting|deserve my|our|another|any ~1 business|penny|dime|dollar|cent|money
churn.leaving 0.55
    last straw
    {brand} ~1 dead to me
    leave|leaving|ditch|ditching|dump|dumping|drop|dropping|quit|quitting|dropped|ditched|dumped {brand}
    i|we|am|are|will|to|be|been|of|about|finally leave|leaving|ditch|ditching|dump|dumping|drop|dropping|quit|quitting
        {brand}|you|them|@
    thinking|thought of|about leaving|switching|cancelling|canceling|quitting|dropping|moving
    considering leaving|switching|cancelling|canceling|quitting|dropping
    ready|tempted|about|decided|planning|want|going to switch|quit|ditch|dump|cancel|drop ~2 {brand}|you|them|@|this
        |carriers|providers|service
    goodbye|bye|farewell|adios|deuces {brand}|@
    so long {brand}|@
    find|finding|found|try|trying|look|looking|looking for|choose|use|using|fly|flying|get|getting another|different
        |new airline|carrier|provider|bank|isp|company|supplier|network
    looking|time|need for|to find? a|an? new|another|different|better airline|carrier|provider|bank|isp|company
        |supplier|network
    alternative/s|replacement to|for {brand}
    moving|moved|went back|over? to {rival}
    ^{switch} to|over
    change|changing ~2 company|carrier|provider|bank|airline
churn.done 0.4
    i am gone|leaving
    i|we|am|are|so|officially|completely|be|totally|and done with {brand}|you|them|this|@|your|that
    done with {brand}|@|you
    over|through with {brand}|@|you
    i|we am|are out
    had it with
    had enough of?
    never recommend|recommending
    would|will|do not recommend
churn.contract 0.35
    my|the contract ~2 up|over|ends|expires|done
    out of my|this|the|your ~1 contract
churn.uninstall 0.45
    uninstalled|uninstalling|uninstall|unistall|uninstalling
    deleted|deleting|delete this|the|my|your ~1 app|game|account
    deleting|deleted it|this|now
    deactivate|deactivating|deactivated my account
churn.renew 0.55
    not renewing|renew|renewed
    let ~2 subscription|membership|contract expire|lapse
churn.refuse 0.3
    refuse to {use}
    boycott|boycotting
    avoid {brand}|@|this|them
    do not|never|no {use} {brand}|@|this|with ~1 {company}|again|them
    stay away from
    unsubscribed|unsubscribing|unsubscribe
    your competition|competitors
    fed up with {brand}|you|@|your|this
    sick of {brand}|you|@|your|this
"""

LEAD: Final = """
lead.want_to_buy 0.6
    i|we|just|really|now|would|do|also|still want|like|love|need|prefer to {buy}
    want|hoping|planning|dying|ready|looking|excited to {buy}
    i|we|am|are|will|definitely|probably|just going to {buy}
    i|we will be buying|ordering|purchasing
    thinking|thought of|about buying|getting|trying|purchasing|ordering|joining a|an|the|one|your|{brand}|some|my
    considering buying|getting|trying|purchasing|joining|subscribing
    take my money
    in the market for
    interested in buying|purchasing|signing|subscribing|trying|joining
    where|how can|do|could|would|should i|we|one {buy}
    where|how can|do|could|would i|we get one
    where|how to {buy}
    how|where do|can i|we sign up
    saving up for
    should i|we buy|get|order|purchase|choose|join|go with? a|an|the|{brand}|one|your|this
    ready|want|like|going to sign up
    can i|we buy|order|purchase|preorder ~4 online|here|directly|from|yet|now
lead.demo 0.55
    book|schedule|request|requesting|want|need|like|get|see|arrange|have a|the|your ~2 demo|trial|quote
    interested in a|your|the ~2 demo|trial|product|products|plan|plans|pricing|service|offer
    can|could i|we ~1 try it|{brand} before|for
    send|give|contact ~2 sales|quote
    talk|speak to|with ~1 sales
lead.asks_recommendation 0.55
    anyone|anybody|someone|can|could|you|please|somebody|yall recommend|suggest a|an|any|some|good|something|me
    any|need|some|want|seeking ~1 recommendations|recommendation|recs for|on
    looking|searching for ~1 recommendations|recs|recommendation|suggestions
    anyone|anybody|does|someone|who know|knows|use|uses|used|tried|have|using of? a|any|{brand}|{rival} ~1 good|decent
        |reliable|better|cheaper
    anyone|anybody tried|using|used|use {brand}|{rival}
    what|which ~1 {tool} do|should|would you|i|we ~1 use|recommend|get|buy|suggest|choose
    looking|searching|shopping for a|an|some|new|something|the ~3 {tool}
    i|we ~1 need a|an new|better|good|cheap|decent ~1 {tool}
    which|what ~1 should|do|would i|we get|buy|choose|pick|order
lead.alternative 0.55
    alternative/s|replacement to {rival}
    looking|searching|need|want|any|recommend|suggest|find|seeking ~2 alternative|alternatives
    what|which ~3 alternative|alternatives
    ^any? alternative|alternatives to|for
    {switch} ~4 to {brand}
    {switch} from {rival} ~2 to {brand}
    jump|jumping|port|porting|move|moving over|back? to {brand}
    come|coming over to {brand}
lead.price_question 0.35
    worth switching|buying|getting
    {brand} or|vs|versus
    can not wait to get|buy|try|own|order
    i|we|really ~1 want|need a|an|the|one ~1 new|latest
    how much is|are|does|do|would|will|for
    what|where is|are the|your ~2 price|pricing|prices|cost|rate|rates|fee|fees
    price list|info|details|please
    any|got ~1 discount|discounts|deals|promo|coupon|coupons|offers
    do|does you|{brand} ~1 offer|have ~2 discount|discounts|trial|plan|plans|enterprise|packages
lead.plan_words 0.25
    enterprise|team|business|pro|premium|annual|monthly|family|student plan|plans|tier|license|licence|subscription
        |pricing
    upgrade|upgrading to ~1 pro|premium|enterprise|plus
    free trial
"""

PRAISE: Final = """
praise.great 0.45
    {praise}
    best
    awsome|amazin|fab|epic|magnificent|gorgeous|rocks|rock|superb|greatest|fantastico|kickass|bravo|kudos|props|woohoo
praise.love 0.5
    love|loved|loves|loving|luv|adore|adores|loveit|obsessed|addicted|addictive
praise.good 0.25
    good|nice|cool|well|fun|fast|easy|helpful|useful|friendly|smooth|smoothly|convenient|reliable|handy|efficient
        |super|neat|sweet|quick|simple|fine|decent|solid|intuitive|fair
praise.thanks 0.3
    thank|thanks|appreciate|appreciated|appreciates|grateful|thankful|cheers
praise.thanks_for 0.45
    thank|thanks|appreciate|grateful|thankful|cheers you|so|very|a|all|much|lot|again|@|{brand}|guys? ~3 for the
        |your|a|being|getting|taking|making|helping|all|such|another|great|excellent|quick|prompt|fast|help|response
        |everything|having|keeping|bringing|going|letting|my|awesome|flying|coming|following|giving|understanding
        |looking
    thank|thanks for the|your|a|being|getting|taking|making|helping|all|such|another|great|excellent|quick|prompt|fast
        |help|response|everything|having|keeping|bringing|going|letting|my|awesome|giving
praise.works 0.5
    work|works|worked|working|runs|run ~1 great|well|perfectly|flawlessly|fine|good|amazing|beautifully|wonders
        |perfect|excellent|smoothly|as
    works for me
praise.recommend 0.5
    highly|definitely|would|will|strongly|totally|i|we|and|to ~1 recommend|recommended
    must have
    a must
    recommend|recommended this|it|to|the|for|{brand}|them
praise.well_done 0.5
    well|nicely done
    great|good|nice|excellent|awesome|amazing|super|fantastic ~2 job|work|service|app|game|product|experience|customer
        |crew|flight|staff|team|one|update|tool|feature|support|people
    keep it? up
    so|very|really|super|pretty|too|how|most|extremely|always|and|quite good|nice|cool|helpful|useful|easy|fast
        |friendly|impressed|happy|pleased|fun|convenient|smooth|quick|handy|kind|accommodating|pleasant|simple
    impressed|happy|pleased|satisfied with|by|to|so|customer
    happy|satisfied|loyal customer|camper|user
    made my|our|her|his day|night|trip|week
    shout|shoutout out? to
    above and beyond
    can|could not stop|live|beat|complain|wait|imagine
    could|can not be|ask ~1 better|happier|more
    five|5 star|stars
    10 out of 10
    two|2 thumbs up
    thumbs up
    you guys|all|are|{brand} rock|rule|rocks|awesome|amazing
praise.relief 0.5
    could not be happier|better|more
    can not go wrong
    can not recommend ~3 enough
    could not have asked|gone for|better|smoother
    never fails|failed|disappoint|disappoints|disappointed|crashes|crashed
    no|zero|without|any|never ~1 complaints|complaint|problems|problem|issues|issue|bugs|trouble|hassle|crashes|errors
        |hiccups|lag|glitches
    nothing to complain
    can not complain|fault
"""

INTENTS: Final = CHURN + LEAD + PRAISE
