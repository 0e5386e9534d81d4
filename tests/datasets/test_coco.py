from __future__ import annotations

import shutil

import pytest

from detection_core.datasets.coco import DataError, Malformed, merge, read_coco, require_objects, split
from tests.coco_folders import KEYPOINT_NAMES, coco_folder, edit


def test_reads_images_classes_and_keypoints(tmp_path):
    dataset = read_coco(coco_folder(tmp_path, images=3, objects=2, empty=1))
    assert dataset.categories == ("__background__", "person", "dog")
    assert dataset.category_ids == (0, 1, 2)
    assert dataset.labels == {1: 1, 2: 2}
    assert dataset.keypoint_names == KEYPOINT_NAMES
    assert [image.id for image in dataset.images] == [1, 2, 3]
    assert [len(image.annotations) for image in dataset.images] == [2, 2, 0]
    assert {image.size for image in dataset.images} == {(160, 120)}
    assert all(image.path.is_file() and image.has_masks and not image.partial for image in dataset.images)
    assert dataset.has_masks
    assert dataset.has_keypoints
    assert all(image.partial for image in read_coco(tmp_path, partial=True).images)


def test_coco_ids_with_gaps_become_contiguous_labels_in_the_order_of_ids(tmp_path):
    dataset = read_coco(coco_folder(tmp_path, categories=("toothbrush", "person", "street sign"), category_ids=(90, 1, 13)))
    assert dataset.categories == ("__background__", "person", "street sign", "toothbrush")
    assert dataset.category_ids == (0, 1, 13, 90)
    assert dataset.labels == {1: 1, 13: 2, 90: 3}


def test_category_id_0_is_a_class_like_any_other(tmp_path):
    assert read_coco(coco_folder(tmp_path, category_ids=(0, 1))).labels == {0: 1, 1: 2}


def test_crowds_are_kept_apart(tmp_path):
    dataset = read_coco(coco_folder(tmp_path, crowds=True))
    for image in dataset.images:
        assert [annotation["iscrowd"] for annotation in image.annotations] == [0, 0]
        assert [annotation["iscrowd"] for annotation in image.crowds] == [1]
        assert image.has_masks


@pytest.mark.parametrize(
    ("masks", "says", "expected"),
    [(True, None, True), (False, None, False), (True, False, False), (True, True, True)],
    ids=["outlined", "not outlined", "says no", "says yes"],
)
def test_images_have_masks_if_all_objects_do_or_as_the_image_says(tmp_path, masks, says, expected):
    folder = coco_folder(tmp_path, masks=masks)
    if says is not None:
        edit(folder, lambda data: [image.update(has_masks=says) for image in data["images"]])
    dataset = read_coco(folder)
    assert [image.has_masks for image in dataset.images] == [expected] * 4
    assert dataset.has_masks == expected


def test_one_object_without_outline_keeps_an_image_from_teaching_masks(tmp_path):
    edit(coco_folder(tmp_path), lambda data: data["annotations"][0].pop("segmentation"))
    assert [image.has_masks for image in read_coco(tmp_path).images] == [False, True, True, True]


@pytest.mark.parametrize("change", ["no names", "no keypoints"])
def test_without_keypoints_a_data_set_has_none(tmp_path, change):
    folder = coco_folder(tmp_path)
    if change == "no names":
        edit(folder, lambda data: data["categories"][0].pop("keypoints"))
    else:
        edit(folder, lambda data: [a.update(keypoints=[0] * 15) for a in data["annotations"] if "keypoints" in a])
    assert not read_coco(folder).has_keypoints


def test_without_categories_each_id_is_a_class(tmp_path):
    folder = edit(coco_folder(tmp_path, category_ids=(3, 7)), lambda data: data.pop("categories"))
    dataset = read_coco(folder)
    assert dataset.categories == ("__background__", "class 3", "class 7")
    assert dataset.labels == {3: 1, 7: 2}


@pytest.mark.parametrize("where", ["images", "beside", "own path"])
def test_images_are_found(tmp_path, where):
    folder = coco_folder(tmp_path / "data", images=1)
    if where == "beside":
        shutil.move(folder / "images" / "1.png", folder / "1.png")
    if where == "own path":
        (folder / "val").mkdir()
        shutil.move(folder / "images" / "1.png", folder / "val" / "1.png")
        edit(folder, lambda data: data["images"][0].update(file_name="val/1.png"))
    (image,) = read_coco(folder).images
    assert image.path.is_file()
    assert image.path.name == "1.png"


def test_a_json_file_of_any_name_is_read(tmp_path):
    folder = coco_folder(tmp_path)
    (folder / "annotations.json").rename(folder / "instances_val.json")
    assert all(image.path.is_file() for image in read_coco(folder / "instances_val.json").images)


def test_annotations_without_an_image_are_kept_aside(tmp_path):
    edit(coco_folder(tmp_path), lambda data: data["annotations"][1].update(image_id=99))
    dataset = read_coco(tmp_path)
    assert [annotation["id"] for annotation in dataset.orphans] == [2]
    assert len(dataset.images[0].annotations) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not valid JSON"),
        ("\xff\xfe", "not valid JSON"),
        ("[]", "must be an object"),
        ('{"annotations": []}', '"images"'),
        ('{"images": [], "annotations": []}', "at least one image"),
        ('{"images": {}, "annotations": []}', '"images"'),
        ('{"images": [{"id": 1, "file_name": "a.jpg", "width": 2, "height": 2}]}', '"annotations"'),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg", "width": 2, "height": 2}], "annotations": [], "categories": [{"id": 1}]}',
            '"name"',
        ),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg", "width": 2, "height": 2}], "annotations": [],'
            ' "categories": [{"id": 1, "name": "a"}, {"id": "b", "name": "c"}, {"id": "d", "name": "e"}]}',
            '"id" of "categories" is a text, such as "b"',
        ),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg", "width": 2, "height": 2}], "annotations": [],'
            ' "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            "several categories have the id 1",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg", "width": 2, "height": 2}], "annotations": [],'
            ' "categories": [{"id": 1, "name": "a", "keypoints": 17}]}',
            "keypoints",
        ),
    ],
)
def test_files_of_another_structure_are_refused_with_the_place(tmp_path, content, says):
    file = tmp_path / "annotations.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError) as error:
        read_coco(tmp_path)
    assert str(file) in str(error.value)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("part", "entry", "image_id", "says"),
    [
        ("images", 5, None, "not an object"),
        ("images", {"id": 9, "file_name": "a.jpg", "width": 2}, 9, '"height", a whole number (it has None)'),
        ("images", {"id": "x", "file_name": "a.jpg", "width": 2, "height": 2.5}, None, "(it has 'x') and \"height\""),
        ("images", {"id": 9, "file_name": "a.jpg", "width": 10**400, "height": 2}, 9, '"width", a whole number (it has 1000'),
        ("images", {"id": 9, "file_name": "a.jpg", "width": -(10**400), "height": 2}, 9, '"width", a whole number (it has -1000'),
        ("annotations", {"id": 99, "image_id": 1, "category_id": 10**40}, 1, '"category_id"'),
        ("annotations", {"image_id": 1, "category_id": 1}, 1, '"id"'),
        ("annotations", {"id": 99, "category_id": 1}, None, '"image_id"'),
        ("annotations", {"id": 99, "image_id": 1, "category_id": None}, 1, '"category_id"'),
        ("annotations", None, None, "not an object"),
    ],
)
def test_unusable_entries_are_kept_aside_with_their_place(tmp_path, part, entry, image_id, says):
    folder = coco_folder(tmp_path, images=2)
    sound = read_coco(folder)
    edit(folder, lambda data: data[part].insert(1, entry))
    dataset = read_coco(folder)
    (malformed,) = dataset.malformed
    assert malformed == Malformed(part, 1, image_id, malformed.problem)
    assert says in malformed.problem
    assert (dataset.images, dataset.orphans, dataset.categories) == (sound.images, sound.orphans, sound.categories)


def test_whole_numbers_may_be_written_with_a_point(tmp_path):
    folder = coco_folder(tmp_path)
    sound = read_coco(folder)

    def pointed(entries, *names):
        for entry in entries:
            entry.update({name: float(entry[name]) for name in names})

    edit(folder, lambda data: pointed(data["images"], "id", "width", "height"))
    edit(folder, lambda data: pointed(data["annotations"], "id", "image_id", "category_id"))
    edit(folder, lambda data: pointed(data["categories"], "id"))
    dataset = read_coco(folder)
    assert dataset == sound
    assert {type(value) for image in dataset.images for value in (image.id, *image.size)} == {int}


@pytest.mark.parametrize("field", ["iscrowd", "area", "segmentation", "keypoints"])
def test_null_is_as_good_as_absent(tmp_path, field):
    folder = edit(coco_folder(tmp_path), lambda data: data["annotations"][0].pop(field))
    absent = read_coco(folder)
    edit(folder, lambda data: data["annotations"][0].update({field: None}))
    edit(folder, lambda data: data["images"][0].update(has_masks=None))
    assert read_coco(folder) == absent


def test_images_with_nothing_but_crowds_teach_no_background(tmp_path):
    dataset = read_coco(coco_folder(tmp_path, images=4, empty=1, crowds=True))
    assert [image.partial for image in dataset.images] == [False, False, False, True]
    assert not any(image.partial for image in read_coco(coco_folder(tmp_path / "empty", images=4, empty=4)).images)


@pytest.mark.parametrize("crowds", [False, True])
@pytest.mark.parametrize("categories", ["classes", "no classes"])
def test_data_without_objects_is_nothing_to_learn_from(tmp_path, crowds, categories):
    folder = coco_folder(tmp_path, images=2, empty=2, crowds=crowds)
    if categories == "no classes":
        edit(folder, lambda data: data.update(categories=[]))
    with pytest.raises(DataError, match="No image has an object"):
        require_objects(read_coco(folder))
    require_objects(read_coco(coco_folder(tmp_path / "objects", images=2, empty=1)))


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(DataError, match="Give a folder"):
        read_coco(tmp_path)
    (tmp_path / "annotations.json").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        read_coco(tmp_path)


@pytest.mark.parametrize("fraction", [0.001, 0.2, 0.5, 0.999])
def test_a_split_is_complete_disjoint_and_the_same_each_time(tmp_path, fraction):
    dataset = read_coco(coco_folder(tmp_path, images=10, size=(40, 40)))
    training, validation = split(dataset, fraction, seed=3)
    assert split(dataset, fraction, seed=3) == (training, validation)
    assert len(validation.images) == min(max(1, round(fraction * 10)), 9)
    assert sorted([*training.images, *validation.images], key=lambda image: image.id) == list(dataset.images)
    assert [image.id for image in training.images] == sorted(image.id for image in training.images)
    assert training.categories == validation.categories == dataset.categories


def test_another_seed_splits_otherwise(tmp_path):
    dataset = read_coco(coco_folder(tmp_path, images=12, size=(40, 40)))
    assert len({tuple(image.id for image in split(dataset, 0.5, seed)[1].images) for seed in range(5)}) > 1


def test_one_image_cannot_be_split(tmp_path):
    with pytest.raises(DataError, match="One image"):
        split(read_coco(coco_folder(tmp_path, images=1)), 0.5)


def test_partly_labeled_images_are_trained_on(tmp_path):
    whole = read_coco(coco_folder(tmp_path / "whole", images=3))
    partial = read_coco(coco_folder(tmp_path / "partial", images=5), partial=True)
    training, validation = split(merge([whole, partial]), 0.9)
    assert [image.partial for image in validation.images] == [False] * 3
    assert [image.partial for image in training.images] == [True] * 5
    assert len(split(partial, 0.4)[1].images) == 2


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("with_objects", "sides"), [(0, (0, 0)), (1, (1, 0)), (2, (1, 1)), (3, (1, 1))])
def test_both_sides_of_a_split_have_objects_where_two_images_do(tmp_path, with_objects, sides, seed, fraction):
    dataset = read_coco(coco_folder(tmp_path, images=8, empty=8 - with_objects, size=(40, 40)))
    parts = split(dataset, fraction, seed)
    counts = [sum(bool(image.annotations) for image in part.images) for part in parts]
    assert tuple(min(count, 1) for count in counts) == sides
    assert sum(counts) == with_objects
    assert len(parts[1].images) == min(max(1, round(fraction * 8)), 7)
    assert sorted(image.id for part in parts for image in part.images) == list(range(1, 9))


def test_partly_labeled_images_keep_their_objects_for_training(tmp_path):
    whole = read_coco(coco_folder(tmp_path / "whole", images=4, empty=3))
    partial = read_coco(coco_folder(tmp_path / "partial", images=2), partial=True)
    for seed in range(4):
        training, validation = split(merge([whole, partial]), 0.25, seed)
        assert [len(image.annotations) for image in validation.images] == [2]
        assert sum(image.partial for image in training.images) == 2


def test_merging_keeps_ids_that_are_unique_and_renumbers_others(tmp_path):
    first = read_coco(coco_folder(tmp_path / "a", images=2))
    second = read_coco(coco_folder(tmp_path / "b", images=2, crowds=True))
    assert merge([first]) == first
    merged = merge([first, second])
    annotations = [annotation for image in merged.images for annotation in image.annotations + image.crowds]
    assert [image.id for image in merged.images] == [1, 2, 3, 4]
    assert len({annotation["id"] for annotation in annotations}) == len(annotations) == 4 + 6
    assert all(annotation["image_id"] == image.id for image in merged.images for annotation in image.annotations + image.crowds)
    assert [image.path for image in merged.images] == [image.path for image in first.images + second.images]


def test_merging_goes_by_the_names_of_classes(tmp_path):
    first = read_coco(coco_folder(tmp_path / "a", images=1, keypoints=False))
    second = read_coco(coco_folder(tmp_path / "b", images=1, category_ids=(8, 2)))
    merged = merge([first, second])
    assert merged.categories == ("__background__", "person", "dog")
    assert [a["category_id"] for image in merged.images for a in image.annotations] == [1, 2, 1, 2]
    assert merged.keypoint_names == KEYPOINT_NAMES


@pytest.mark.parametrize(
    ("other", "says"),
    [({"categories": ("person", "cat")}, '"cat", "dog"'), ({"keypoint_names": ("nose",)}, "keypoints")],
    ids=["classes", "keypoints"],
)
def test_data_sets_that_do_not_agree_are_not_merged(tmp_path, other, says):
    with pytest.raises(DataError, match=says):
        merge([read_coco(coco_folder(tmp_path / "a")), read_coco(coco_folder(tmp_path / "b", **other))])
