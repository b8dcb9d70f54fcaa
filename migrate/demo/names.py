"""Names for the people of the demo, by the language of the office they work in.

A name written in another script is followed by its Latin spelling after a slash; addresses and logins are made from that.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

_NO_DECOMPOSITION: Final = str.maketrans({"ß": "ss", "ł": "l", "Ł": "l", "ø": "o", "Ø": "o", "æ": "ae", "đ": "d", "Đ": "d", "ı": "i"})
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "ae", "Ö": "oe", "Ü": "ue"})


@dataclass(frozen=True, slots=True)
class Culture:
    """Where somebody's name comes from: how common that is here, the directory's word for their language, and the names."""

    lang: str
    weight: int
    given: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool = False

    def latin(self, name: str) -> str:
        """A name in lower-case ASCII, as it appears in an address: `Müller` is `mueller`, `O'Brien` stays `o'brien`."""
        name = name.partition("/")[2] or name
        if self.lang == "de_DE":
            name = name.translate(_GERMAN)
        plain = unicodedata.normalize("NFKD", name.translate(_NO_DECOMPOSITION))
        return plain.encode("ascii", "ignore").decode().lower()


def written(name: str) -> str:
    """A name as the person writes it."""
    return name.partition("/")[0]


def _culture(lang: str, weight: int, given: str, family: str, *, family_first: bool = False) -> Culture:
    return Culture(lang, weight, tuple(given.split()), tuple(family.split()), family_first)


CULTURES: Final = (
    _culture(
        "en_US", 30,
        "Amanda Andrew Ashley Benjamin Brandon Brian Caleb Carol Charles Christine Daniel Deborah Diane Dylan Emily Ethan Frank Grace "
        "Gregory Hannah Heather Isaac Jacob Janet Jason Jessica Jonathan Julia Kevin Laura Logan Margaret Megan Nathan Nicole Patrick "
        "Rachel Rebecca Samuel Sean Stephanie Tyler Vanessa Walter Zoe",
        "Adams Allen Bailey Baker Bennett Brooks Campbell Carter Clark Collins Cooper Cox Davis Edwards Ellis Foster Graham Gray Hall "
        "Harris Hayes Hughes Jenkins Kelly Lawson Marshall Mitchell Morgan Murphy O'Brien O'Connor Parker Perry Price Reed Reynolds "
        "Richardson Robinson Russell Sanders Simmons Stewart Sullivan Turner Walker Ward Weaver Webb Wright",
    ),
    _culture(
        "en_GB", 10,
        "Amelia Callum Charlotte Elspeth Fiona Freya George Gareth Harriet Imogen Isla Jack Niamh Oliver Poppy Rhys Rosie Rupert Theo",
        "Ashworth Barlow Blackwood Bright Cartwright Davies Fairclough Fletcher Griffiths Hargreaves Holloway Kirkpatrick Lloyd MacLeod "
        "Pemberton Pritchard Sinclair Thornton Whitaker Winterbourne",
    ),
    _culture(
        "de_DE", 12,
        "Anna Bernd Björn Dieter Elke Emma Felix Florian Frieda Günther Hanna Heike Jonas Jürgen Katharina Klaus Lena Lukas Maximilian "
        "Sabine Sören Stefan Ulrike Wiebke",
        "Becker Böhm Brandt Fischer Fuchs Großmann Hartmann Hoffmann Jäger Kaiser Keller Köhler Krüger Lehmann Müller Neumann Richter "
        "Schäfer Schmidt Schneider Schröder Vogel Weber Weiß Zimmermann",
    ),
    _culture(
        "fr_FR", 8,
        "Amélie Antoine Baptiste Camille Chloé Clément Élise Étienne François Gaëlle Hélène Inès Jérôme Julien Léa Manon Mathieu Noémie "
        "Océane Rémi Sébastien Thibault Zoé",
        "Beaumont Bernard Blanchard Chevalier Collet Delacroix Dubois Durand Fontaine Garnier Girard Lambert Lefèvre Lemaître Marchand "
        "Mercier Moreau Noël Pelletier Perrin Renard Roussel Vasseur",
    ),
    _culture(
        "es_MX", 10,
        "Adriana Alejandro Andrés Beatriz Carmen Catalina Diego Emilio Esperanza Fernando Guadalupe Héctor Ignacio Inés Javier Jimena José "
        "Lucía Marisol Óscar Raúl Rocío Sofía Ximena",
        "Aguilar Álvarez Cárdenas Castillo Domínguez Espinoza Fuentes García Guzmán Hernández Ibáñez Jiménez López Márquez Muñoz Núñez "
        "Ortega Peña Ramírez Rojas Salazar Vázquez Villanueva Zamora",
    ),
    _culture(
        "pt_BR", 5,
        "Ana Antônio Beatriz Bruno Caio Débora Eduardo Flávia Gabriela Heitor João Larissa Luísa Marcelo Mônica Rafael Thiago Vitória",
        "Araújo Barbosa Cardoso Carvalho Conceição Ferreira Gonçalves Lima Magalhães Nogueira Oliveira Pinheiro Ribeiro Santos Teixeira",
    ),
    _culture(
        "it_IT", 4,
        "Alessandro Bianca Chiara Davide Elena Enzo Federica Giulia Giuseppe Lorenzo Luca Marta Nicolò Paola Silvia Tommaso",
        "Barbieri Bianchi Caruso Conti Costa DeLuca Esposito Ferrari Gallo Greco Lombardi Mancini Moretti Ricci Rinaldi Romano",
    ),
    _culture(
        "pl_PL", 4,
        "Agnieszka Bartosz Dorota Elżbieta Grzegorz Jadwiga Kacper Łukasz Małgorzata Paweł Rafał Stanisław Wioletta Zofia",
        "Adamczyk Bąk Dąbrowski Górski Jabłoński Kowalczyk Król Lis Mazur Nowak Pawłowska Sikora Wójcik Zając",
    ),
    _culture(
        "en_IN", 8,
        "Aditi Ananya Anil Arjun Deepa Farhan Harpreet Ishaan Kavya Lakshmi Manish Meera Nikhil Padma Priya Rajesh Rohan Sanjay Shreya "
        "Suresh Vikram Yasmin",
        "Agarwal Banerjee Bhatt Chatterjee Chowdhury Desai Gill Gupta Iyer Joshi Kapoor Khan Krishnan Malhotra Mehta Nair Patel Rao Reddy "
        "Sharma Singh Subramanian",
    ),
    _culture(
        "ja_JP", 4,
        "陽菜/Hina 健/Ken 美咲/Misaki 翔太/Shota 直樹/Naoki 由美/Yumi 大輔/Daisuke 恵子/Keiko 拓也/Takuya 真理/Mari 浩二/Koji 彩/Aya",
        "佐藤/Sato 鈴木/Suzuki 高橋/Takahashi 田中/Tanaka 渡辺/Watanabe 伊藤/Ito 山本/Yamamoto 中村/Nakamura 小林/Kobayashi 加藤/Kato "
        "吉田/Yoshida 森/Mori",
        family_first=True,
    ),
    _culture(
        "zh_CN", 4,
        "伟/Wei 芳/Fang 娜/Na 敏/Min 静/Jing 磊/Lei 洋/Yang 艳/Yan 勇/Yong 杰/Jie 涛/Tao 明/Ming",
        "王/Wang 李/Li 张/Zhang 刘/Liu 陈/Chen 杨/Yang 黄/Huang 赵/Zhao 吴/Wu 周/Zhou 徐/Xu 孙/Sun",
        family_first=True,
    ),
    _culture(
        "ar_EG", 3,
        "أحمد/Ahmed فاطمة/Fatma محمود/Mahmoud مريم/Mariam خالد/Khaled ليلى/Layla يوسف/Youssef هبة/Heba طارق/Tarek نور/Nour",
        "حسن/Hassan إبراهيم/Ibrahim منصور/Mansour سليمان/Soliman فاروق/Farouk عثمان/Osman شريف/Sherif بدوي/Badawy",
    ),
    _culture(
        "en_NG", 3,
        "Adaeze Amaka Babatunde Chidi Chinwe Emeka Folake Ifeoma Kehinde Ngozi Obinna Olumide Temitope Tunde Yetunde Zainab",
        "Abubakar Adebayo Adeyemi Afolabi Balogun Bello Chukwu Eze Ibekwe Mohammed Nwosu Obi Ogunleye Okafor Okonkwo Onyeka",
    ),
    _culture(
        "sv_SE", 3,
        "Astrid Björn Ebba Elin Frida Gunnar Håkan Ingrid Linnéa Magnus Måns Nils Sigrid Tove",
        "Andersson Bergström Dahl Ekström Forsberg Hägg Lindqvist Lundgren Nyström Sandberg Sjögren Söderberg Wallin Åkesson",
    ),
    _culture(
        "tr_TR", 2,
        "Ayşe Burak Cem Çiğdem Deniz Emre Gökhan İpek Kerem Leyla Özge Selin Yıldız",
        "Acar Aydın Çelik Demir Doğan Kaya Kılıç Öztürk Şahin Şimşek Yıldırım Yılmaz",
    ),
)  # fmt: skip
