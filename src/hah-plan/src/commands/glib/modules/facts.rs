//! What the plugins of Debian trixie say of themselves when they are loaded, by file name.
//!
//! Only their code knows it. Each text is what the tool prints for the package of trixie that has the file.

/// What gio-querymodules writes of each module of trixie: the extension points that it implements. Of some it writes
/// nothing, since they do not say.
pub(super) const GIO: &[(&str, &str)] = &[
    ("libim-fcitx5.so", ""),
    ("libim-ibus.so", ""),
    ("libim-scim.so", ""),
    ("libprintbackend-cups.so", "gtk-print-backend"),
    ("libprintbackend-file.so", "gtk-print-backend"),
    ("libdconfsettings.so", "gsettings-backend"),
    ("libgiognomeproxy.so", "gio-proxy-resolver"),
    ("libgiognutls.so", "gio-tls-backend"),
    ("libgiolibproxy.so", "gio-proxy-resolver"),
    ("libgioremote-volume-monitor.so", "gio-native-volume-monitor,gio-volume-monitor"),
    ("libgvfsdbus.so", "gio-vfs,gio-volume-monitor"),
    ("libxfconfgsettingsbackend.so", "gsettings-backend"),
];

/// What gdk-pixbuf-query-loaders prints of each loader of trixie, below its path.
pub(super) const LOADERS: &[(&str, &str)] = &[
    (
        "io-wmf.so",
        r##""wmf" 0 "gdk-pixbuf" "Windows Metafile" ""
"image/x-wmf" ""
"wmf" "apm" ""
"\327\315\306\232" "" 100
"\001" "" 100"##,
    ),
    (
        "libpixbufloader-ani.so",
        r##""ani" 4 "gdk-pixbuf" "Windows animated cursor" "LGPL"
"application/x-navi-animation" ""
"ani" ""
"RIFF    ACON" "    xxxx    " 100"##,
    ),
    (
        "libpixbufloader-avif.so",
        r##""avif" 5 "gdk-pixbuf" "AV1 Image File Format" "BSD"
"image/avif" ""
"avif" ""
"    ftypavif" "zzz         " 100"##,
    ),
    (
        "libpixbufloader-bmp.so",
        r##""bmp" 5 "gdk-pixbuf" "BMP" "LGPL"
"image/bmp" "image/x-bmp" "image/x-MS-bmp" ""
"bmp" ""
"BM" "" 100"##,
    ),
    (
        "libpixbufloader-gif.so",
        r##""gif" 4 "gdk-pixbuf" "GIF" "LGPL"
"image/gif" ""
"gif" ""
"GIF8" "" 100"##,
    ),
    (
        "libpixbufloader-heif.so",
        r##""heif/avif" 4 "pixbufloader-heif" "HEIF/AVIF Image" "LGPL3"
"image/heif" "image/heic" "image/avif" ""
"heif" "heic" "avif" ""
"    ftyp" "xxxx    " 100"##,
    ),
    (
        "libpixbufloader-icns.so",
        r##""icns" 4 "gdk-pixbuf" "MacOS X icon" "GPL"
"image/x-icns" ""
"icns" ""
"icns" "" 100"##,
    ),
    (
        "libpixbufloader-ico.so",
        r##""ico" 5 "gdk-pixbuf" "Windows icon" "LGPL"
"image/x-icon" "image/x-ico" "image/x-win-bitmap" "image/vnd.microsoft.icon" "application/ico" "image/ico" "image/icon" "text/ico" ""
"ico" "cur" ""
"  \001   " "zz znz" 100
"  \002   " "zz znz" 100"##,
    ),
    (
        "libpixbufloader-jxl.so",
        r##""jxl" 5 "gdk-pixbuf" "JPEG XL image" "BSD-3"
"image/jxl" ""
"jxl" ""
"\377\n" "  " 100
"...\fJXL \r\n\207\n" "zzz         " 100"##,
    ),
    (
        "libpixbufloader-pnm.so",
        r##""pnm" 4 "gdk-pixbuf" "PNM/PBM/PGM/PPM" "LGPL"
"image/x-portable-anymap" "image/x-portable-bitmap" "image/x-portable-graymap" "image/x-portable-pixmap" ""
"pnm" "pbm" "pgm" "ppm" ""
"P1" "" 100
"P2" "" 100
"P3" "" 100
"P4" "" 100
"P5" "" 100
"P6" "" 100"##,
    ),
    (
        "libpixbufloader-qtif.so",
        r##""qtif" 4 "gdk-pixbuf" "QuickTime" "LGPL"
"image/x-quicktime" "image/qtif" ""
"qtif" "qif" ""
"abcdidsc" "xxxx    " 100
"abcdidat" "xxxx    " 100"##,
    ),
    (
        "libpixbufloader-tga.so",
        r##""tga" 4 "gdk-pixbuf" "Targa" "LGPL"
"image/x-tga" ""
"tga" "targa" ""
" \001\001" "x  " 100
" \001\t" "x  " 100
"  \002" "xz " 99
"  \003" "xz " 100
"  \n" "xz " 100
"  \v" "xz " 100"##,
    ),
    (
        "libpixbufloader-tiff.so",
        r##""tiff" 5 "gdk-pixbuf" "TIFF" "LGPL"
"image/tiff" ""
"tiff" "tif" ""
"MM *" "  z " 100
"II* " "   z" 100
"II* \020   CR\002 " "   z zzz   z" 0"##,
    ),
    (
        "libpixbufloader-webp.so",
        r##""webp" 5 "gdk-pixbuf" "The WebP image format" "LGPL"
"image/webp" "audio/x-riff" ""
"webp" ""
"RIFFsizeWEBP" "    xxxx    " 100"##,
    ),
    (
        "libpixbufloader-xbm.so",
        r##""xbm" 4 "gdk-pixbuf" "XBM" "LGPL"
"image/x-xbitmap" ""
"xbm" ""
"#define " "" 100
"/*" "" 50"##,
    ),
    (
        "libpixbufloader-xpm.so",
        r##""xpm" 4 "gdk-pixbuf" "XPM" "LGPL"
"image/x-xpixmap" ""
"xpm" ""
"/* XPM */" "" 100"##,
    ),
    (
        "libpixbufloader-svg.so",
        r##""svg" 6 "gdk-pixbuf" "Scalable Vector Graphics" "LGPL"
"image/svg+xml" "image/svg" "image/svg-xml" "image/vnd.adobe.svg+xml" "text/xml-svg" "image/svg+xml-compressed" ""
"svg" "svgz" "svg.gz" ""
" <svg" "*    " 100
" <!DOCTYPE svg" "*             " 100"##,
    ),
    (
        "libpixbufloader_svg.so",
        r##""svg" 6 "gdk-pixbuf" "Scalable Vector Graphics" "LGPL"
"image/svg+xml" "image/svg" "image/svg-xml" "image/vnd.adobe.svg+xml" "text/xml-svg" "image/svg+xml-compressed" ""
"svg" "svgz" "svg.gz" ""
" <svg" "*    " 100
" <!DOCTYPE svg" "*             " 100"##,
    ),
];

/// What gtk-query-immodules-2.0 prints of each input method of trixie.
pub(super) const INPUT_METHODS_2: &[(&str, &str)] = &[
    ("im-am-et.so", r##""am_et" "Amharic (EZ+)" "gtk20" "/usr/share/locale" "am" "##),
    ("im-cedilla.so", r##""cedilla" "Cedilla" "gtk20" "/usr/share/locale" "az:ca:co:fr:gv:oc:pt:sq:tr:wa" "##),
    ("im-cyrillic-translit.so", r##""cyrillic_translit" "Cyrillic (Transliterated)" "gtk20" "/usr/share/locale" "" "##),
    (
        "im-fcitx5.so",
        r##""fcitx" "Fcitx5 (Flexible Input Method Framework5)" "fcitx5" "/usr/locale" "ja:ko:zh:*" 
"fcitx5" "Fcitx5 (Flexible Input Method Framework5)" "fcitx5" "/usr/locale" "ja:ko:zh:*" "##,
    ),
    ("im-gcin.so", r##""gcin" "gcin Input Method" "gcin" "/usr/share/locale" "zh:ja" "##),
    ("im-hime.so", r##""hime" "hime Input Method" "hime" "/usr/share/locale" "zh:ja" "##),
    ("im-ibus.so", r##""ibus" "IBus (Intelligent Input Bus)" "ibus" "" "ja:ko:zh:*" "##),
    ("im-inuktitut.so", r##""inuktitut" "Inuktitut (Transliterated)" "gtk20" "/usr/share/locale" "iu" "##),
    ("im-ipa.so", r##""ipa" "IPA" "gtk20" "/usr/share/locale" "" "##),
    ("im-multipress.so", r##""multipress" "Multipress" "gtk20" "" "" "##),
    ("im-scim.so", r##""scim" "SCIM Input Method" "" "" "" "##),
    ("im-thai.so", r##""thai" "Thai-Lao" "gtk20" "/usr/share/locale" "lo:th" "##),
    ("im-ti-er.so", r##""ti_er" "Tigrigna-Eritrean (EZ+)" "gtk20" "/usr/share/locale" "ti" "##),
    ("im-ti-et.so", r##""ti_et" "Tigrigna-Ethiopian (EZ+)" "gtk20" "/usr/share/locale" "ti" "##),
    ("im-uim.so", r##""uim" "uim" "uim" "/usr/share/locale" "ja:ko:zh:*" "##),
    ("im-viqr.so", r##""viqr" "Vietnamese (VIQR)" "gtk20" "/usr/share/locale" "" "##),
    ("im-xim.so", r##""xim" "X Input Method" "gtk20" "/usr/share/locale" "ko:ja:th:zh""##),
];

/// What gtk-query-immodules-3.0 prints of each input method of trixie.
pub(super) const INPUT_METHODS_3: &[(&str, &str)] = &[
    ("im-am-et.so", r##""am_et" "Amharic (EZ+)" "gtk30" "/usr/share/locale" "am" "##),
    ("im-broadway.so", r##""broadway" "Broadway" "gtk30" "/usr/share/locale" "" "##),
    ("im-cedilla.so", r##""cedilla" "Cedilla" "gtk30" "/usr/share/locale" "az:ca:co:fr:gv:oc:pt:sq:tr:wa" "##),
    ("im-cyrillic-translit.so", r##""cyrillic_translit" "Cyrillic (Transliterated)" "gtk30" "/usr/share/locale" "" "##),
    (
        "im-fcitx5.so",
        r##""fcitx" "Fcitx5 (Flexible Input Method Framework5)" "fcitx5" "/usr/locale" "ja:ko:zh:*" 
"fcitx5" "Fcitx5 (Flexible Input Method Framework5)" "fcitx5" "/usr/locale" "ja:ko:zh:*" "##,
    ),
    ("im-gcin.so", r##""gcin" "gcin Input Method" "gcin" "/usr/share/locale" "zh:ja" "##),
    ("im-hime.so", r##""hime" "hime Input Method" "hime" "/usr/share/locale" "zh:ja" "##),
    ("im-ibus.so", r##""ibus" "IBus (Intelligent Input Bus)" "ibus" "" "ja:ko:zh:*" "##),
    ("im-inuktitut.so", r##""inuktitut" "Inuktitut (Transliterated)" "gtk30" "/usr/share/locale" "iu" "##),
    ("im-ipa.so", r##""ipa" "IPA" "gtk30" "/usr/share/locale" "" "##),
    ("im-multipress.so", r##""multipress" "Multipress" "gtk30" "/usr/share/locale" "" "##),
    ("im-scim.so", r##""scim" "SCIM Input Method" "" "" "" "##),
    ("im-thai.so", r##""thai" "Thai-Lao" "gtk30" "/usr/share/locale" "lo:th" "##),
    ("im-ti-er.so", r##""ti_er" "Tigrigna-Eritrean (EZ+)" "gtk30" "/usr/share/locale" "ti" "##),
    ("im-ti-et.so", r##""ti_et" "Tigrigna-Ethiopian (EZ+)" "gtk30" "/usr/share/locale" "ti" "##),
    ("im-uim.so", r##""uim" "uim" "uim" "/usr/share/locale" "ja:ko:zh:*" "##),
    ("im-viqr.so", r##""viqr" "Vietnamese (VIQR)" "gtk30" "/usr/share/locale" "" "##),
    ("im-wayland.so", r##""wayland" "Wayland" "gtk30" "/usr/share/locale" "" "##),
    ("im-xim.so", r##""xim" "X Input Method" "gtk30" "/usr/share/locale" "ko:ja:th:zh""##),
];
