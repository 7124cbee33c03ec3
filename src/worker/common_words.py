"""The most frequent words of everyday English, in the rough order of their frequency. Data only.

Written down by hand for weighting words before any text has been seen: a word's weight follows from its rank by Zipf's
law, so the order inside of a line does not matter much and no corpus has to be shipped.
"""

from __future__ import annotations

from typing import Final

COMMON: Final = """
the to and a i of in is it you
for that my on this with have be are not
was but me so your just as at we if what can all do or up from get out like
no will when how about there they has an by don't it's i'm one now know more time good go he some would
had us been why our any love day new think really need only see too who want then she here still back her
their because them his im its than did am got make other very even which well please into after over people
work way going could should were off much first thanks great today last never right help best him before again
being use can't i've also that's you're two take where down always better most something ever every since look
these let thing things made try does say then those through own year years around long many next same
while doing getting anyone keep find night off home week feel lot tell give show come bad put hope sure both
already someone yet another wait stop real nothing anything days everyone looking little old thank big hours
using tried trying able enough tomorrow until without maybe i'll didn't doesn't isn't won't wasn't aren't he's
she's they're we're there's what's let's couldn't wouldn't i'd you'll we'll haven't hasn't dont cant didnt doesnt
thats youre ive whats actually almost anymore ago against though although each few several such less least part
called call said says told ask asked start started end done left went came took gave seen saw knew thought felt
makes making used works working needs needed wants wanted gets goes takes looks seems seem happen
happened happens having coming trying morning tonight yesterday month months minute minutes hour second times
place world life man men woman women girl guy guys boy kid kids friend friends family school house car city name
number money free open close play game watch read talk hear heard live run turn move leave stay bring buy bought
pay change set add check send sent read write post follow share news line side hand head face eye eyes point
problem issue question answer reason idea case fact kind sort type word words high low full half whole top
nice cool fun happy sad awesome amazing hate fine ready easy hard sorry wrong true different important possible
likely probably definitely especially finally completely exactly literally honestly basically currently recently
usually often sometimes once twice soon later early late instead otherwise however therefore else rather quite
pretty kinda totally super such oh hey hi hello yes yeah ok okay lol omg wow haha dear guess mean believe
understand remember forget wonder suppose seriously anyway whatever somebody nobody everything everybody
per via within during between under above across behind near toward towards among upon onto along
three four five six seven eight nine ten third hundred thousand million
monday tuesday wednesday thursday friday saturday sunday january february march april june july august
september october november december
wish wants asking saying telling giving putting taking keeping letting starting stopped starting hoping waiting
waited using users user people's must might shall may cannot couldnt wouldnt shouldn't shouldnt isnt wasnt wont
havent hasnt theres theyre gonna wanna gotta ur u r im
support service customer customers company account app phone website site online email update version new
"""
STOP_WORDS: Final = frozenset(" ".join(COMMON.split("\n")[:15]).split())
"""Those of the first lines: grammar and small talk, which name no topic."""
