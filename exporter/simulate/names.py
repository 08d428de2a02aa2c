"""The names that a simulated fleet uses. Businesses are invented; users are roles, never people."""

from typing import Final

BUSINESSES: Final = (
    "Toko Makmur",
    "Apotek Sehat Sentosa",
    "Batik Pesisir Nusantara",
    "Klinik Gigi Cemerlang",
    "Travel Lintas Pulau",
    "Katering Dapur Rasa",
    "Elektronik Sinar Terang",
    "Koperasi Tani Subur",
    "Kopi Senja",
    "Bengkel Jaya Motor",
    "Laundry Bersih Kilat",
    "Mebel Jati Indah",
)

CITIES: Final = (
    "Jakarta",
    "Surabaya",
    "Bandung",
    "Medan",
    "Semarang",
    "Makassar",
    "Yogyakarta",
    "Denpasar",
    "Palembang",
    "Malang",
    "Balikpapan",
    "Padang",
)

DESKS: Final = ("Kasir", "Layanan Pelanggan", "Pesanan", "Gudang", "Reservasi", "Pengiriman", "Keluhan", "Penjualan")

ROLES: Final = ("Pemilik Toko", "Admin Cabang", "Kepala Layanan", "Admin Pesanan", "Penyelia Penjualan")

ENGINES: Final = {
    "wa": ("WhatsApp", 62),
    "telegram": ("Telegram", 14),
    "instagram": ("Instagram", 9),
    "facebook": ("Facebook", 7),
    "slack": ("Slack", 5),
    "intercom": ("Intercom", 3),
}
"""Engine → its name and its share of a fleet in percent."""
