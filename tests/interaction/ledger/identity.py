"""Section 2: keys, names, fingerprints."""

from __future__ import annotations

from typing import Final

from tests.interaction.ledger.row import row

ROWS: Final = (
    row(
        "identity.multikey",
        "2",
        "a public key is `z` + base58btc of two prefix bytes and 32 key bytes; nothing else is one",
        "protocol/test_keys.py::test_a_multikey_is_base58btc_of_prefix_and_key",
        "protocol/test_keys.py::test_every_key_comes_back_from_its_multikey",
        "protocol/test_keys.py::test_what_is_no_ed25519_multikey_is_refused",
    ),
    row(
        "identity.did",
        "2",
        "a DID is `did:key:` and the Multikey",
        "protocol/test_keys.py::test_what_is_no_did_key_is_refused",
        "protocol/test_vectors.py::test_keys_and_fingerprints",
    ),
    row(
        "identity.person",
        "2",
        "a person without a key is `user:<uuid>`, may be delegated to, and never signs",
        "protocol/test_delegation.py::test_a_person_without_a_key_never_signs",
    ),
    row(
        "identity.key-files",
        "2",
        "key files are PKCS#8 PEM that openssl reads and writes",
        "protocol/test_key_files.py::test_openssl_reads_a_plain_key_file",
        "protocol/test_key_files.py::test_openssl_writes_back_exactly_the_plain_file",
        "protocol/test_key_files.py::test_a_key_that_openssl_made_is_read",
    ),
    row(
        "identity.key-file-modes",
        "2",
        "a key file with wider modes than 0600 in 0700, or of a foreign owner, is refused",
        "protocol/test_key_files.py::test_wider_modes_and_foreign_owners_are_refused",
        "agentd/test_state.py::test_a_key_file_is_private_and_its_folder_too",
        "controlplane/test_first_start.py::test_a_key_that_others_can_read_is_refused",
    ),
    row(
        "identity.passphrase",
        "2",
        "a key file may have a passphrase, and then opens only with it",
        "protocol/test_key_files.py::test_a_protected_file_opens_with_its_passphrase_only",
        "agentd/test_state.py::test_a_passphrase_protects_the_key",
        "controlplane/test_first_start.py::test_key_files_open_only_with_their_passphrase",
    ),
    row(
        "identity.verification",
        "2",
        "signatures are judged as libsodium judges them: no small-order keys, no second spelling",
        "protocol/test_keys.py::test_every_wycheproof_case_is_judged_as_it_should_be",
        "protocol/test_keys.py::test_speccheck_only_case_three_verifies_and_enrolment_refuses_it_too",
    ),
    row(
        "identity.valid-point",
        "2",
        "a key is checked as a valid point when it is enrolled",
        "protocol/test_keys.py::test_small_order_and_misspelt_points_are_weak_keys",
        "protocol/test_key_rotation.py::test_the_old_key_and_a_weak_key_are_no_new_key",
        gap="a weak key at a hub's registration is shown on the function, not over a socket: "
        "nobody can sign a `register` with one",
    ),
    row(
        "identity.fingerprint",
        "2",
        "a fingerprint is 80 bits over root and agent key in Crockford base32, four groups of four",
        "protocol/test_keys.py::test_a_fingerprint_names_this_agent_under_this_root",
        "protocol/test_keys.py::test_a_fingerprint_is_four_groups_of_crockford_base32",
        "protocol/test_spec.py::test_the_worked_examples_are_what_the_code_makes",
    ),
    row(
        "identity.same-fingerprint",
        "2",
        "agent console, command line and hub show the same fingerprint",
        "interaction/test_enrolment.py::"
        "test_agent_and_hub_show_the_same_fingerprint_and_approval_lets_it_in",
    ),
)
