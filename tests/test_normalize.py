"""The normalizer on tags as people write them; benchmarks/normalize.py measures it on many more."""

import time
from pathlib import Path

import pytest

from hashtagger.normalize import Normalizer, extract_tags, normalize


@pytest.mark.parametrize(
    ("tag", "canonical", "rule"),
    [
        ("#강아지", ("dog",), "exact"),
        ("#댕댕이", ("dog",), "variant"),
        ("#오운완", ("exercise",), "variant"),
        ("오독완", ("reading",), "variant"),
        ("강얼쥐", ("dog",), "variant"),
        ("#품절녀", ("wedding",), "variant"),
        ("#럽스타그램", ("couple",), "variant"),
        ("멍스타그렘", ("dog",), "family"),
        ("장미그램", ("flower",), "family"),
        ("gangajistagram", ("dog",), "family"),
        ("seoul_dog_life", ("dog",), "compound"),
        ("제주카페투어", ("cafe",), "compound"),
        ("大阪カフェ", ("cafe",), "compound"),
        ("집사맞팔", ("cat",), "compound"),
        ("울프하운드", ("dog",), "compound"),
        ("포인세티아", ("flower",), "variant"),
        ("#신혼여행", ("travel", "wedding"), "compound"),
        ("봄꽃구경", ("flower", "spring"), "compound"),
        ("애견카페", ("cafe", "dog"), "compound"),
        ("책육아스타그램", ("parenting", "reading"), "family"),
        ("꾸안꾸", ("fashion",), "variant"),
        ("ㄱㅗㅇㅑㅇㅇㅣ", ("cat",), "jamo"),
        ("가앙아지", ("dog",), "drawl"),
        ("rkddkwl", ("dog",), "keyboard"),
        ("RKDDKWL", ("dog",), "keyboard"),
        ("EjrqhRdl", ("tteokbokki",), "keyboard"),
        ("zkvpxndj", ("cafe",), "keyboard"),
        ("toddlfcnrgk", ("birthday",), "keyboard"),
        ("dnsehdgksmsduwk", ("exercise",), "keyboard"),
        ("qjwrhc", ("flower",), "keyboard"),
        ("QJWRHC", ("flower",), "keyboard"),
        ("ㅅㄱㅁㅍ디", ("travel",), "keyboard"),
        ("gangaji", ("dog",), "romanized"),
        ("고양dl", ("cat",), "jamo"),
        ("두냥이", ("cat",), "compound"),
        ("부산피티", ("exercise",), "compound"),
        ("미리생파", ("birthday",), "compound"),
        ("발리신행", ("wedding",), "compound"),
        ("치킨무한리필", ("chicken",), "compound"),
        ("운됭", ("exercise",), "typo"),
        ("생후29개월", ("parenting",), "compound"),
        ("생후2개월강아지", ("dog",), "compound"),
        ("생후100일", ("parenting",), "compound"),
        ("6개월아기랑", ("parenting",), "compound"),
        ("12개월아가", ("parenting",), "compound"),
        ("29개월아들", ("parenting",), "compound"),
        ("6개월딸", ("parenting",), "compound"),
        ("1000일아가", ("parenting",), "compound"),
        ("12개월아가일상", ("parenting",), "compound"),
        ("3개월아가비숑", ("dog",), "compound"),
        ("50일아가냥이", ("cat",), "compound"),
        ("부산런크루", ("exercise",), "compound"),
        ("여름옷추천", ("fashion", "summer"), "compound"),
        ("빈티지옷", ("fashion",), "compound"),
        ("책읽어주는엄마", ("reading",), "compound"),
        ("묘생역전", ("cat",), "variant"),
        ("멍생일기", ("dog",), "compound"),
        ("제주도한달살기", ("travel",), "compound"),
        ("제주한달살이", ("travel",), "compound"),
        ("눈바디일상", ("exercise",), "compound"),
        ("반려인소통", ("dog",), "compound"),
        ("아기시바일상", ("dog",), "compound"),
        ("묘생일상", ("cat",), "compound"),
        ("애엄마브이로그", ("parenting",), "compound"),
    ],
)
def test_the_rules_know_a_tag(tag: str, canonical: tuple[str, ...], rule: str) -> None:
    found = normalize(tag)
    assert (found.canonical, found.rule) == (canonical, rule)
    assert 0.5 < found.score <= 1


LOOKALIKES = """
    꽃게 카페인 운동화 산책스타그램 제주도서귀포 승리네일상 부동산스타그램 유럽스타그램 그냥맛집 파스타그램
    부산행 vacation facebook 펫스타그램 커피 휴가 다이어트 봄이 먹어봄 우동 ㅋㅍ snail leaders perrier checkin
    aka copper 취준생일상 미대생일상 지방대생일상 알바생일기 식집사일상 민족운동 면책 골뱅이 고양시 일산고양
    데이트폭력 카파 아리랑 바이킹 프라이드 상냥 이견 이룩 쿠웨이트 썸네일 서울의봄 サムネイル beatles
    allocation 고등어 구운동 나운동 나운동맛집 반려마 반려마스타그램 출생신고 동생카톡 개인회생신청 가치소비
    정치소식 양치소금 김치밥 멸치밥 의견주세요 시츄에이션 필요가없다 수요가 고요가 수요가많다 위키페디아
    목공예랑 공예랑놀자 도예신청 명예신문 청소설비 연구소설립 충전소설치 누룩 누룩소금 시무룩 전통한국화
    위생화장지 재생화분 호수국밥 복수국적 육아종 쿠플 텐트럴파크 인텐트 병원코디 변화환경 내부케이블 현장미팅
    출장미술 고추육묘 스피닝릴 페디먼트 고기굽네 장미상가 카스타그램 카르페디엠 패션푸르츠 회신부탁 뭐냥
    아기단풍 백운동계곡 햄스타그램
    virus 코로나virus cramping 양송이 택견 살코기 네임아트 citrus chorus corso elaka cortney votos tjdnfdmlqha
    한아름 한아름스타그램 떡볶이코트 먼치킨도넛 생일도 완도생일도 생일면 재생일 교양이 강하지 뽐뽐 멕시칸 살리기 알리기
    부산구치소 민주운동 짐노페디 강지은
    연애남매 반려식물집사 오백냥 춥냥 배고프냥 인생후반전 그냥일상 고양시일상 책방일기
    카투사랑 카투사랑해 소셜러닝 e러닝 습관트래킹 택배트래킹 트레킹화 pt면접 강아지상 고양이상스타그램 강아지상남자
    정치운동 신부서품 달의연인 파리의연인 장미의전쟁 진달래아파트 해바라기반 플랭크톤 생생일상 인기가요가좋다
    5개월 12개월 100일 300일째 임신5개월 3개월다이어트 내일아가씨 3개월딸기 2024 100 007 20240501
"""


@pytest.mark.parametrize("tag", LOOKALIKES.split())
def test_lookalikes_stay_unmapped(tag: str) -> None:
    found = normalize(tag)
    assert found.canonical == ()
    assert found.tag == tag
    assert found.score == 0


def test_a_trap_does_not_hide_the_word_it_resembles() -> None:
    assert normalize("먼치킨").canonical == ("cat",)
    assert normalize("네일상담").canonical == ("nail_art",)
    assert normalize("가을산행").canonical == ("hiking",)
    assert normalize("민준생일상").canonical == ("birthday",)
    assert normalize("이팝나무꽃").canonical == ("flower",)


def test_a_common_word_leaves_the_labels_beside_it_alone() -> None:
    """For many lookalikes above, a real tag in which the label word does count."""
    for tag, key in (
        ("육아종합센터", "parenting"),
        ("생신고기파티", "birthday"),
        ("지민생일상", "birthday"),
        ("교촌치밥", "chicken"),
        ("오늘은치소", "chicken"),
        ("연수요가", "exercise"),
        ("웹소설추천", "reading"),
        ("생화장식", "flower"),
        ("메인텐트", "camping"),
        ("동냥이들", "cat"),
        ("결혼환경", "wedding"),
        ("텐트설치", "camping"),
        ("오늘은생일도축하해", "birthday"),
        ("대구치소", "chicken"),
        ("고양이상자", "cat"),
        ("강아지상품", "dog"),
        ("트레킹화보", "hiking"),
        ("한강러닝", "exercise"),
        ("학생생일", "birthday"),
        ("여행가요", "travel"),
        ("카투스타그램", "cafe"),
    ):
        assert normalize(tag).canonical == (key,), tag


def test_a_lookalike_means_itself_with_a_suffix_and_hides_nothing_in_a_compound() -> None:
    assert normalize("상냥스타그램").canonical == ()
    assert normalize("바캉스네일").canonical == ("nail_art",)
    assert normalize("블라썸네일").canonical == ("nail_art",)
    assert normalize("둥이룩").canonical == ("fashion",)
    assert normalize("고등어냥").canonical == ("cat",)


def test_a_common_word_does_not_take_a_labels_last_syllable() -> None:
    assert set(normalize("고양이랑강아지").canonical) == {"cat", "dog"}
    assert set(normalize("냥이랑여행").canonical) == {"cat", "travel"}
    assert normalize("고양이천국").canonical == ("cat",)
    assert normalize("캠핑크루").canonical == ("camping",)
    assert normalize("결혼자랑").canonical == ("wedding",)
    assert normalize("카페인플루언서").canonical == ("cafe",)


def test_a_run_of_unknown_characters_is_one_word() -> None:
    assert normalize("미선생일").canonical == ("birthday",)
    assert normalize("코코야생일축하해").canonical == ("birthday",)
    assert normalize("아기장난감").canonical == ("parenting",)


def test_an_end_word_counts_only_at_the_end() -> None:
    assert normalize("길냥이랑나랑").canonical == ("cat",)
    assert normalize("패션템추천").canonical == ("fashion",)


def test_a_book_among_known_words_is_reading() -> None:
    assert normalize("책맞팔").canonical == ("reading",)
    assert normalize("요즘읽은책").canonical == ("reading",)
    assert normalize("산책").canonical == ()


def test_one_syllable_on_the_wrong_keyboard_must_be_a_canonical_tag() -> None:
    assert normalize("qha").canonical == ("spring",)
    assert normalize("cor").canonical == ()


def test_a_place_that_ends_in_exercise_hides_no_other_word() -> None:
    assert normalize("나운동카페").canonical == ("cafe",)
    assert normalize("나운동하는여자").canonical == ("exercise",)
    assert normalize("대구운동").canonical == ("exercise",)


@pytest.mark.parametrize(
    ("tag", "key"), [("여행프로그램", "travel"), ("치킨100그램", "chicken"), ("장미모노그램", "flower")]
)
def test_words_that_end_like_the_family_may_not_belong_to_it(tag: str, key: str) -> None:
    found = normalize(tag)
    assert (found.canonical, found.rule) == ((key,), "compound")


def test_a_name_is_not_a_romanized_tag_in_a_compound() -> None:
    assert normalize("naildesign_yuka").canonical == ("nail_art",)
    assert normalize("yuka").rule == "romanized"


def test_a_users_single_syllable_does_not_match_inside_other_words(tmp_path: Path) -> None:
    vocabulary, user = tmp_path / "things.toml", tmp_path / "mine.toml"
    vocabulary.write_text('[[labels]]\nkey = "car"\ntag = "차"\nname = "Car"\n', encoding="utf-8")
    user.write_text('[variants]\ndog = ["차"]\n', encoding="utf-8")
    for normalizer, key in ((Normalizer(vocabulary), "car"), (Normalizer(user=user), "dog")):
        for tag in ("차", "#차", "차스타그램", "ㅊㅏ"):
            assert normalizer.normalize(tag).canonical == (key,), tag
        for tag in ("차이", "녹차", "차차", "차차차", "차아", "ck", "차은우", "자"):
            assert normalizer.normalize(tag).canonical == (), tag
    vocabulary.write_text('[[labels]]\nkey = "car"\ntag = "차"\nname = "Car"\nwords = ["차"]\n', encoding="utf-8")
    assert Normalizer(vocabulary).normalize("우리차").canonical == ("car",)


def test_a_users_name_is_not_found_inside_unrelated_words(tmp_path: Path) -> None:
    user = tmp_path / "mine.toml"
    user.write_text('[variants]\ndog = ["토리", "루이"]\n', encoding="utf-8")
    normalizer = Normalizer(user=user)
    for tag in ("토리일상", "토리네", "루이스타그램", "토리아빠", "루이산책", "토리생일"):
        assert "dog" in normalizer.normalize(tag).canonical, tag
    for tag in ("인스타스토리", "토이스토리", "루이비통"):
        assert normalizer.normalize(tag).canonical == (), tag


def test_a_short_tag_has_typos_only_if_its_lookalikes_are_listed(tmp_path: Path) -> None:
    vocabulary = tmp_path / "fruit.toml"
    entries = (("apple", "사과"), ("grape", "포도"), ("strawberry", "산딸기"))
    labels = (f'[[labels]]\nkey = "{key}"\ntag = "{tag}"\nname = "{key}"\n' for key, tag in entries)
    vocabulary.write_text("".join(labels), encoding="utf-8")
    normalizer = Normalizer(vocabulary)
    assert [normalizer.normalize(tag).canonical for tag in ("포토", "사고", "샨딸기")] == [(), (), ("strawberry",)]
    assert normalize("운됭").canonical == ("exercise",)


def test_compounds_give_their_head_first() -> None:
    assert normalize("애견동반카페").canonical == ("cafe", "dog")
    assert normalize("책육아").canonical[0] == "parenting"
    assert normalize("#강아지＃고양이").canonical == ("dog", "cat")
    for tag, keys in (
        ("남친룩", ("fashion", "couple")),
        ("여친룩추천", ("fashion", "couple")),
        ("운동룩", ("fashion", "exercise")),
        ("등산룩", ("fashion", "hiking")),
        ("봄여행", ("travel", "spring")),
        ("weddingnails", ("nail_art", "wedding")),
        ("summerwedding", ("wedding", "summer")),
        ("dogcafe", ("cafe", "dog")),
        ("campingfood", ("camping",)),
    ):
        assert normalize(tag).canonical == keys, tag


def test_emoji_mean_the_same_in_any_skin_tone_and_form() -> None:
    for tag, key in (("👶🏻", "parenting"), ("💅🏿", "nail_art"), ("📚️", "reading"), ("☕︎", "cafe"), ("⛰️", "hiking")):
        assert normalize(tag).canonical == normalize(tag[0]).canonical == (key,), tag
    assert normalize("🏻").canonical == ()


@pytest.mark.parametrize(
    "tag", ["#２０２４", "①", "½", "٣", "\uffbe\uffbe", "#\uffbb\uffbb\uffbb", "\uffa0", "\uffd7\uffd7"]
)
def test_numbers_and_half_width_jamo_mean_nothing(tag: str) -> None:
    assert normalize(tag).canonical == ()


@pytest.mark.parametrize(
    ("tag", "canonical"),
    [
        ("🐶❤️", ("dog",)),
        ("🌸🌸", ("flower",)),
        ("🌸🌷", ("flower",)),
        ("☕️🍰", ("cafe",)),
        ("👶🏻👶🏿", ("parenting",)),
        ("🐕‍🦺", ("dog",)),
        ("🐶☕️", ()),
        ("❤️🔥", ()),
    ],
)
def test_emoji_mean_a_label_if_they_agree(tag: str, canonical: tuple[str, ...]) -> None:
    assert normalize(tag).canonical == canonical


def test_the_canonical_tag_or_the_cleaned_one_comes_back() -> None:
    assert normalize("#댕댕이").tag == "강아지"
    assert normalize("#제주바다❤️").tag == "제주바다"
    assert normalize("#제주바다#모름").tag == "제주바다"
    assert normalize("#댕댕이").original == "#댕댕이"


def test_a_long_text_takes_no_longer_than_its_letters() -> None:
    start = time.process_time()
    for text in ("가" * 50_000 + "나", "가나" * 25_000 + "다", "ㅋ" * 50_000 + "가"):
        assert normalize(text).canonical == ()
    assert time.process_time() - start < 5


def test_normalize_many_keeps_the_order() -> None:
    tags = ["#치킨", "모름", "#치킨", "까페"]
    assert [n.tag for n in Normalizer().normalize_many(tags)] == ["치킨", "모름", "치킨", "카페"]


def test_extract_tags() -> None:
    assert extract_tags("오늘 #댕댕이랑 #카페") == ["댕댕이랑", "카페"]
