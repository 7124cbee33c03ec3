"""Words that are written like names and name no company: days, places, people, headings. Data only.

Written down by hand for telling rivals from what else is capitalised beside a brand. None of it is a list of companies:
who competes with a brand is only ever learned from its mentions.
"""

from __future__ import annotations

from typing import Final

from .common_words import COMMON


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GRAMMAR: Final = _words(COMMON) | _words(
    """
    he she hers ours yours theirs myself yourself itself themselves themself nor whether whom whose thus ya yall
    hello bye goodbye please sir madam ma'am etc vs versus rt cc fyi btw imo imho tbh asap eta faq diy ceo cto cfo
    coo cmo hr pr ai it usa uk eu un nyc tv pc id pin vip usd eur gbp plan version option step part level phase tier
    class season episode chapter round page basic plus pro premium lite free standard deluxe beta alpha mac android
    windows linux english spanish french german italian portuguese chinese japanese korean russian arabic hindi
    dutch swedish turkish polish economy business coach monthly yearly annual weekly daily nothing ever never always
    best worst better worse cheaper faster slower none rest hell heaven god jesus christ mom mum dad grandma grandpa
    wife husband son daughter boss sleep bed work school lunch dinner breakfast coffee tea cake pie pizza beer wine
    weather rain snow sun covid omicron variant virus platinum gold silver bronze review reviews comparison price
    prices cost costs speed quality shipping delivery returns refund refunds online offline north south east west
    unlike compare compared compares comparing switch switched switching switches migrate migrated migrating
    migrates move moved moving moves change changed changing changes convert converted converting transfer
    transferred transferring port ported porting jump jumped jumping swap swapped swapping trade traded trading
    leave left leaving leaves ditch ditched ditching dump dumped dumping drop dropped dropping quit quitting cancel
    cancelled canceled cancelling canceling abandon abandoned abandoning replace replaced replacing exchange
    exchanged choose chose chosen choosing pick picked picking prefer prefers preferred preferring recommend
    recommended consider considered considering evaluate evaluated evaluating test tested testing between
    alternative alternatives replacement replacements substitute substitutes competitor competitors rival rivals
    competition fly flying flew flown book booked booking buy buying bought order ordering ordered rent renting ride
    stick sticking stuck stay staying stayed giving taking taken tried trying torn upgrade upgraded upgrading
    downgrade downgraded farewell thinking looking anyone somebody someone nobody adios next time instead sorry
    honest honestly congrats congratulations welcome wish wished hate hated love loved bring brought wait waiting
    check checked call called calling ask asked asking tell told fix fixed broken kudos props shame disappointed
    frustrated tired sick done finished read watch listen storm delay delays delayed baggage luggage bags bag flight
    flights fail fails failed yes nope nah yep yeah lol haha wtf omg smh ugh meh wow damn dang gosh
    """
)
"""Words of which a capital says nothing: grammar, small talk, what products and plans are called everywhere."""

CALENDAR: Final = _words(
    """
    monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun january
    february march april may june july august september october november december jan feb mar apr jun jul aug sep
    sept oct nov dec christmas xmas easter thanksgiving halloween hanukkah ramadan diwali eid passover valentine
    valentines summer winter spring autumn fall q1 q2 q3 q4 am pm today tomorrow tonight yesterday blackfriday
    cybermonday
    """
)

PLACES: Final = _words(
    """
    usa america canada mexico brazil argentina chile peru colombia england britain scotland wales ireland france
    germany spain portugal italy greece turkey poland austria switzerland belgium netherlands holland denmark norway
    sweden finland iceland russia ukraine china japan korea india pakistan bangladesh thailand vietnam indonesia
    malaysia singapore philippines taiwan australia egypt nigeria kenya ghana ethiopia morocco israel jordan lebanon
    iraq iran qatar kuwait dubai europe asia africa antarctica alabama alaska arizona arkansas california colorado
    connecticut delaware florida georgia hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland
    massachusetts michigan minnesota mississippi missouri montana nebraska nevada ohio oklahoma oregon pennsylvania
    tennessee texas utah vermont virginia washington wisconsin wyoming london paris berlin madrid barcelona lisbon
    rome milan venice vienna zurich geneva brussels amsterdam rotterdam copenhagen oslo stockholm helsinki dublin
    edinburgh glasgow manchester birmingham liverpool leeds munich hamburg frankfurt cologne prague warsaw budapest
    athens istanbul moscow kiev kyiv tokyo osaka kyoto seoul beijing shanghai shenzhen delhi mumbai bangalore
    bengaluru chennai hyderabad kolkata karachi lahore dhaka bangkok hanoi jakarta manila taipei sydney melbourne
    brisbane perth auckland wellington cairo lagos nairobi johannesburg durban toronto montreal vancouver calgary
    ottawa edmonton winnipeg chicago houston dallas austin boston denver seattle portland phoenix philadelphia
    atlanta miami orlando tampa nashville memphis charlotte raleigh detroit cleveland columbus cincinnati pittsburgh
    baltimore newark brooklyn manhattan queens bronx buffalo milwaukee minneapolis omaha tulsa tucson albuquerque
    sacramento oakland fresno honolulu maui cancun nassau aruba jamaica bermuda boulder burbank midway ohare dulles
    heathrow gatwick laguardia logan vegas dc fl tx ca ny nj guam cuba haiti belize panama ecuador bolivia uruguay
    venezuela guatemala
    """
)

CODES: Final = _words(
    """
    jfk lax sfo ord ewr lga dca iad bwi atl dfw dal hou iah den sea phx las mco mia fll tpa bos phl clt dtw msp stl
    mdw slc pdx san sjc oak sna bur ont smf aus sat msy bna cle cmh pit ind mci mke rdu jax rsw pbi bdl buf roc syr
    alb btv pvd mht hpn isp tus abq elp okc tul oma ric orf sjd cun sju hnl ogg koa lih anc lhr lgw cdg fra muc ams
    zrh mad bcn fco mxp dub nrt hnd icn pek pvg hkg sin bkk syd mel del bom dxb doh ist yyz yul yvr yyc yow gua grr
    geg cae chs sav
    """
)
"""Airports as travellers write them: in the place of a name, three such letters are where somebody went."""

PEOPLE: Final = _words(
    """
    james john robert michael mike david dave william will bill billy richard rick joseph joe thomas tom tommy
    charles charlie chris christopher daniel dan danny matthew matt anthony tony mark donald don steven steve
    stephen paul andrew andy joshua josh kenneth ken kevin brian george timothy tim ronald ron edward ed eddie jason
    jeffrey jeff ryan jacob jake gary nicholas nick eric jonathan jon larry justin scott brandon benjamin ben samuel
    sam gregory greg alexander alex patrick pat frank raymond ray jack dennis jerry tyler aaron jose adam nathan
    henry peter pete zach kyle noah ethan jeremy walter keith roger terry sean austin carl arthur bob bobby mary
    patricia jennifer jenny linda elizabeth liz barbara susan sue jessica jess sarah sara karen lisa nancy betty
    sandra margaret maggie ashley kim kimberly emily emma donna michelle carol amanda melissa deborah debbie
    stephanie rebecca becky laura sharon cynthia kathleen kate katie amy angela anna anne ann annie shirley brenda
    pamela nicole helen samantha katherine christine rachel carolyn janet maria heather diane julie julia joyce
    victoria kelly christina joan evelyn lauren judith olivia megan cheryl andrea hannah jacqueline martha gloria
    teresa sophia janice jane jean alice kathy grace denise amber marie beverly danielle theresa sophie lucy chloe
    mia ella lily zoe mohammed muhammad ahmed ali fatima wei ravi raj priya sanjay carlos juan luis pedro miguel
    pablo sofia lucia hans klaus jurgen pierre marc luca giulia
    """
)
"""Given names. Alone or before one more word they are taken for a person."""

TITLES: Final = _words(
    "mr mrs ms miss dr doctor prof professor sir lord lady king queen prince princess president senator governor mayor "
    "judge captain nurse officer agent pastor father sister brother uncle aunt coach st saint"
)
"""What stands before a person's name."""

HEADS: Final = _words(
    """
    gate terminal flight airport street avenue ave road rd blvd boulevard lane drive highway university college
    academy school park river lake county city town island beach mountain valley stadium arena hospital clinic
    church museum hotel building tower floor room apt apartment suite unit zone row seat concourse bowl cup league
    championship olympics festival awards variant virus pie juice tree cake sauce sunday monday friday saturday
    seals army navy police department ministry senate congress court house act law plan version section article
    model size part number office store hall center centre translate dam bridge station mode theme feature setting
    settings edition option series episode season chapter movie song
    """
)
"""The last or first word of a name that makes it a place, an event or a part, or follows it in small letters."""

SUFFIXES: Final = (
    "airlines", "airline", "airways", "air lines", "air", "inc", "corp", "corporation", "company", "ltd", "llc", "gmbh",
    "plc", "group", "holdings", "technologies", "software", "assist", "support", "help", "helps", "care", "cares",
    "official", "hq", "app", "team",
)  # fmt: skip
"""Ends of company names and of their handles that other spellings of the same name leave out."""
