"""Words of names that aren't names: titles in English, French and local usage, and forms of one name in several languages. Data only.

All in small letters without accents, as `names` reads them.
"""

_TITLES = """
mr mrs ms miss mx mister madam sir dr doctor docteur prof professor professeur rev revd reverend eng engr ing ingenieur arch architecte
hon honourable honorable mme mlle monsieur madame mademoiselle maitre soeur
epse epouse nee veuve vve dit dite alias
alhaji alhajj alhadji alhaja elhadj elhadji elhaj hajj hajji haji hajia hajja hajjat hajati hadj hadja hadji
mzee ssebo nnyabo owek owekitiibwa omukungu togbe togbui osofo opanyin obaapanin okyeame
capt captain capitaine col colonel sgt sergeant sergent lt lieutenant cpl caporal insp inspecteur inspector
"""

#: Never a part of who somebody is: titles, pilgrims in all spellings between Dakar and Kampala, uniforms, and the words that lead from
#: one family name to another (épouse, née, veuve).
TITLES = frozenset(_TITLES.split())

_PERHAPS = """
m me fr sr br pr ep ve gen general maj major bishop apostle apotre father brother sister mere pere frere fils abbe pastor pasteur
jr junior snr senior ii iii iv aka nana chief chef fon sheikh sheik shaykh cheikh cheick imam mallam malam
papa mama maman maame tata pa ma ni ba bana bashi mukulu ssalongo salongo nnalongo nalongo el al of
"""

#: A title to some and a name to others: it counts only where it means something to both sides.
PERHAPS_TITLES = frozenset(_PERHAPS.split())

#: Letters that aren't one with an accent, and that a clerk's keyboard may lack (by number: dotless i, gamma and v with a hook).
LETTERS = str.maketrans(
    {
        "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i",
        "ɛ": "e", "ɔ": "o", "ŋ": "ng", "ɖ": "d", "ɗ": "d", "ɓ": "b", "ƒ": "f", "\u0263": "g", "\u028b": "v", "ƙ": "k", "ƴ": "y", "ɲ": "ny",
    }
)  # fmt: skip

_FORMS = """
john jean johannes yohana yohane
peter pierre petero pedro petro
paul paulo
mary marie maria mariam maryam miriam mariama
joseph yusuf yusufu youssouf youssef issouf
mohammed mohamed muhammad mohammad muhammed mouhamed mouhamadou
fatima fatimah fatuma fatouma fatoumata fatou
aisha aicha aishah aissatou aissata ayisha
ibrahim ibrahima brahima abraham
james jacques
jacob yakubu yacouba yakubo
moses moussa musa moise
solomon salomon souleymane suleiman sulaiman seleman
elizabeth elisabeth elizabet
stephen steven etienne stefano stephane
andrew andre andreas
matthew mathew mathieu matayo mateo
francis francois francisco
lawrence laurent laurence
anthony antony antoine antonio
george georges joji
anne anna ann hannah
martha marthe marta
hassan hasan assan assane
hussein husein hussain ousseynou
uthman usman osman ousmane
umar omar oumar umaru
abdul abdoul abdou abdallah abdullah abdoulaye
david daoud dauda daouda
isaac isaka issaka isiaka
zachariah zakaria zacharie zakariya
simon simeon
charles karoli carlos
christine christina kristina christiane
catherine katherine kathryn katarina
theresa therese teresa
margaret marguerite
luke luc luka
mark marc marko marcus
"""

#: A form of a name, and a word for all its forms: as likely one person as a slip of the pen, and no more.
FORMS = {form: line.split()[0] for line in _FORMS.strip().splitlines() for form in line.split()}
